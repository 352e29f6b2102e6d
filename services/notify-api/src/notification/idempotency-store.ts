import { createHash } from 'node:crypto'
import { type Commit, type Failure, GroupCommit, type GroupLimits } from '../database/group-commit.ts'
import type { Database } from '../database/database.ts'
import { isAway, isTransient } from '../database/error.ts'

/** A request that must be carried out once. Both hashes are hexadecimal. */
export interface Once {
  readonly keyHash: string
  readonly requestHash: string
}

/** What is known of the first request with a key. */
export interface FirstRequest {
  readonly requestHash: string
  readonly firstNotificationId: number | null
  /** JSON text; null when it has not been answered, or its answer was never stored. */
  readonly answer: string | null
  readonly ageMs: number
}

/** The key is in use already. */
export class KeyTaken extends Error {
  override readonly name = 'KeyTaken'
}

interface Answer {
  readonly once: Once
  readonly json: string
  readonly rows: number
  readonly bytes: number
}

export function onceOf(caller: string, key: string, call: string, body: unknown): Once {
  return { keyHash: hash(`${caller}\n${key}`), requestHash: hash(`${call}\n${JSON.stringify(body)}`) }
}

/** Which requests with an idempotency key there were, and how each was answered. The notification store writes the keys. */
export class IdempotencyStore implements Commit<Answer, undefined> {
  readonly #database: Database
  readonly #answers: GroupCommit<Answer, undefined>

  constructor(database: Database, limits: GroupLimits) {
    this.#database = database
    this.#answers = new GroupCommit(this, limits)
  }

  async find({ keyHash }: Once): Promise<FirstRequest | undefined> {
    const [row] = await this.#database.run((connection) =>
      connection.rows<FirstRequest>(
        `SELECT LOWER(HEX(request_hash)) AS requestHash, first_notification_id AS firstNotificationId, answer,
           TIMESTAMPDIFF(MICROSECOND, created_at, NOW(3)) DIV 1000 AS ageMs
         FROM idempotency_key WHERE key_hash = UNHEX(?)`,
        [keyHash],
      ),
    )
    return row
  }

  /** Stores the answer that was given, for repeats. Concurrent ones share one statement. */
  answer(once: Once, json: string): Promise<undefined> {
    return this.#answers.submit({ once, json, rows: 1, bytes: json.length })
  }

  /** Takes back a key that is older than `ageMs`. */
  async forget({ keyHash }: Once, ageMs: number): Promise<void> {
    await this.#database.run((connection) =>
      connection.write('DELETE FROM idempotency_key WHERE key_hash = UNHEX(?) AND created_at < NOW(3) - INTERVAL ? MICROSECOND', [
        keyHash,
        ageMs * 1_000,
      ]),
    )
  }

  close(): Promise<void> {
    return this.#answers.close()
  }

  /** @internal for the group commit */
  async commit(group: readonly Answer[]): Promise<undefined[]> {
    const values = group.map(({ once, json }) => [Buffer.from(once.keyHash, 'hex'), Buffer.from(once.requestHash, 'hex'), json])
    await this.#database.run((connection) =>
      connection.write(
        `INSERT INTO idempotency_key (key_hash, request_hash, answer) VALUES ? ON DUPLICATE KEY UPDATE answer = VALUES(answer)`,
        [values],
      ),
    )
    return group.map(() => undefined)
  }

  /** @internal for the group commit */
  failure(error: unknown): Failure {
    if (isAway(error)) return 'all'
    return isTransient(error) ? 'retry' : 'split'
  }
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
