import type { ControlMessage, MemberId, Revocation } from '@tidings/protocol'
import { controlChannel, parseMemberId } from '@tidings/protocol'
import type { Connection, Database } from '../database/database.ts'
import type { OutboxRow } from '../outbox/row.ts'
import { insertOutboxRow } from '../outbox/store.ts'
import { removeSubscriptions } from '../push/subscription-store.ts'

/** A committed revocation. */
export interface Revoked {
  readonly revocation: Revocation
  /** The row of its control message, which the caller publishes. */
  readonly event: OutboxRow
}

/** A single token to revoke. */
export interface RevokedToken {
  readonly tokenHash: string
  /** Its `exp`, Unix seconds. */
  readonly expiresAt: number
  /** Whether the push subscriptions of the member stay. */
  readonly keepSubscriptions: boolean
}

/** What {@link RevocationStore.changes} found. */
export interface Changes {
  readonly revocations: readonly Revocation[]
  /** Time of the last change among them, as `after` of the next call; undefined when there is none. */
  readonly last: string | undefined
}

interface Row {
  readonly memberId: string
  readonly tokenHash: string
  readonly issuedBefore: number
  readonly expiresAt: number
  readonly changedAt: string
}

/** Changes that are read in one statement. */
const pageRows = 10_000
/** How much earlier than the last change that was read a change may be stamped that commits later. */
const lateCommitSeconds = 30
/** How long a revocation is kept longer than its tokens live, since the clocks of the database and of the services may differ. */
const marginSeconds = 60
const first = '1970-01-01 00:00:00.000'

/** The table of revocations, the truth of which everything else is a copy. */
export class RevocationStore {
  readonly #database: Database
  readonly #maxTokenSeconds: number
  /** How much longer than `exp` says a token is accepted. */
  readonly #leewaySeconds: number

  /** `maxTokenSeconds`: the longest life of a token, after which its revocation is deleted. */
  constructor(database: Database, { maxTokenSeconds, leewaySeconds }: { maxTokenSeconds: number; leewaySeconds: number }) {
    this.#database = database
    this.#maxTokenSeconds = maxTokenSeconds
    this.#leewaySeconds = leewaySeconds
  }

  /** Resolves to the time of the database, in Unix ms. */
  async now(): Promise<number> {
    const [row] = await this.#database.run((connection) =>
      connection.rows<{ ms: number }>('SELECT FLOOR(UNIX_TIMESTAMP(NOW(3)) * 1000) AS ms'),
    )
    return row?.ms ?? Date.now()
  }

  /** Revokes all tokens of the member that were issued before a time, in Unix seconds. */
  revokeMember(memberId: MemberId, issuedBefore: number): Promise<Revoked> {
    // Twice: a token without `iat` may also live longer by the leeway.
    const expiresAt = issuedBefore + this.#maxTokenSeconds + 2 * this.#leewaySeconds + marginSeconds
    return this.#insert({ memberId, tokenHash: '', issuedBefore, expiresAt })
  }

  /** Revokes a single token. */
  revokeToken(memberId: MemberId, { tokenHash, expiresAt, keepSubscriptions }: RevokedToken): Promise<Revoked> {
    const until = expiresAt + this.#leewaySeconds + marginSeconds
    return this.#insert({ memberId, tokenHash, issuedBefore: 0, expiresAt: until }, keepSubscriptions)
  }

  #insert(revocation: Revocation, keepSubscriptions = false): Promise<Revoked> {
    return this.#database.transaction(async (connection) => {
      const revoked = await insert(connection, revocation)
      // A revoked device must not be pushed to either. Those of the member that stay subscribe again when they next start. After the INSERT: a
      // subscription that is being stored is either refused or removed.
      if (!keepSubscriptions) await removeSubscriptions(connection, revocation.memberId)
      return revoked
    })
  }

  /** Returns what changed since `after`, oldest first, and once more what changed shortly before. Without `after`: everything. */
  async changes(after?: string): Promise<Changes> {
    const revocations: Revocation[] = []
    let last = after
    let from = after === undefined ? first : undefined
    for (;;) {
      const rows = await this.#page(from, last)
      revocations.push(...rows.map(revocationOf))
      const newest = rows.at(-1)?.changedAt
      if (newest !== undefined && (last === undefined || newest > last)) last = newest
      if (rows.length < pageRows || newest === undefined || newest === from) return { revocations, last }
      from = newest
    }
  }

  /** Rows from the time `from`, or else from shortly before `last`. */
  #page(from: string | undefined, last: string | undefined): Promise<Row[]> {
    const [time, value] =
      from === undefined
        ? [`CAST(? AS DATETIME(3)) - INTERVAL ${lateCommitSeconds} SECOND`, last]
        : ['CAST(? AS DATETIME(3))', from]
    return this.#database.run((connection) =>
      connection.rows<Row>(
        `SELECT member_id AS memberId, token_hash AS tokenHash, issued_before AS issuedBefore, expires_at AS expiresAt,
           CAST(changed_at AS CHAR) AS changedAt
         FROM revocation WHERE changed_at >= ${time} ORDER BY changed_at LIMIT ${pageRows}`,
        [value],
      ),
    )
  }
}

async function insert(connection: Connection, revocation: Revocation): Promise<Revoked> {
  const { memberId, tokenHash, issuedBefore, expiresAt } = revocation
  await connection.write(
    `INSERT INTO revocation (member_id, token_hash, issued_before, expires_at, changed_at) VALUES (?, ?, ?, ?, NOW(3))
     ON DUPLICATE KEY UPDATE issued_before = GREATEST(issued_before, VALUES(issued_before)),
       expires_at = GREATEST(expires_at, VALUES(expires_at)), changed_at = VALUES(changed_at)`,
    [String(memberId), tokenHash, issuedBefore, expiresAt],
  )
  const message: ControlMessage = { type: 'revoke', ...revocation }
  return { revocation, event: await insertOutboxRow(connection, controlChannel, JSON.stringify(message)) }
}

function revocationOf({ memberId, tokenHash, issuedBefore, expiresAt }: Row): Revocation {
  return { memberId: parseMemberId(memberId) as MemberId, tokenHash, issuedBefore, expiresAt }
}
