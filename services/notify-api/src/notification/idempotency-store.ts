import type { Database } from '../database/database.ts'
import { failureOf, GroupCommit, type GroupLimits, type Weight } from '../database/group-commit.ts'
import type { IdempotencyKey } from './idempotency-key.ts'

/** The stored state of the first request with a key. */
export interface FirstRequest {
  readonly requestHash: string
  readonly firstNotificationId: number | null
  /** Distance from each id of its notifications to the next. */
  readonly idStep: number
  /** JSON text of its response; null until the response is stored, and forever when storing it failed. */
  readonly response: string | null
  readonly ageMs: number
}

interface NewResponse extends Weight {
  readonly key: IdempotencyKey
  /** JSON text. */
  readonly response: string
}

/** Reads idempotency keys and stores the responses to their requests. The keys themselves are written with the notifications. */
export class IdempotencyStore {
  readonly #database: Database
  readonly #responses: GroupCommit<NewResponse, undefined>

  constructor(database: Database, limits: GroupLimits) {
    this.#database = database
    this.#responses = new GroupCommit({ commit: (group) => this.#write(group), failure: failureOf }, limits)
  }

  async find({ keyHash }: IdempotencyKey): Promise<FirstRequest | undefined> {
    const [row] = await this.#database.run((connection) =>
      connection.rows<FirstRequest>(
        `SELECT LOWER(HEX(request_hash)) AS requestHash, first_notification_id AS firstNotificationId,
           id_step AS idStep, answer AS response,
           TIMESTAMPDIFF(MICROSECOND, created_at, NOW(3)) DIV 1000 AS ageMs
         FROM idempotency_key WHERE key_hash = UNHEX(?)`,
        [keyHash],
      ),
    )
    return row
  }

  /** Stores a response, as JSON text, for repeats of its request. Concurrent calls share one statement. */
  storeResponse(key: IdempotencyKey, response: string): Promise<undefined> {
    return this.#responses.submit({ key, response, rows: 1, bytes: response.length })
  }

  /** Deletes a key that is older than `ageMs`. */
  async forget({ keyHash }: IdempotencyKey, ageMs: number): Promise<void> {
    await this.#database.run((connection) =>
      connection.write('DELETE FROM idempotency_key WHERE key_hash = UNHEX(?) AND created_at < NOW(3) - INTERVAL ? MICROSECOND', [
        keyHash,
        ageMs * 1_000,
      ]),
    )
  }

  /** Resolves when every submitted response is stored or refused. */
  close(): Promise<void> {
    return this.#responses.close()
  }

  async #write(group: readonly NewResponse[]): Promise<undefined[]> {
    const values = group.map(({ key, response }) => [
      Buffer.from(key.keyHash, 'hex'),
      Buffer.from(key.requestHash, 'hex'),
      response,
    ])
    await this.#database.run((connection) =>
      connection.write(
        `INSERT INTO idempotency_key (key_hash, request_hash, answer) VALUES ? ON DUPLICATE KEY UPDATE answer = VALUES(answer)`,
        [values],
      ),
    )
    return group.map(() => undefined)
  }
}
