import { randomUUID } from 'node:crypto'
import type { Database } from './database.ts'

/** After this time without a renewal, another instance takes the job. */
const leaseMs = 5_000
/** The lease is renewed when less than this is left. */
const renewBeforeMs = 3_000

/** The right to a job, which one instance has at a time. No lock is held: it expires when its holder vanishes. */
export class Lease {
  readonly #database: Database
  readonly #job: 'sweep' | 'retention' | 'expiry'
  readonly #holder = randomUUID()
  #heldUntil = -Infinity

  constructor(database: Database, job: 'sweep' | 'retention' | 'expiry') {
    this.#database = database
    this.#job = job
  }

  /**
   * Takes or renews the lease, and returns whether this instance has it. An instance that is `impaired`, because it cannot reach all of
   * Redis, yields it to any other. A job of several steps calls this between them.
   */
  async hold({ impaired = false }: { impaired?: boolean } = {}): Promise<boolean> {
    const begin = performance.now()
    if (!impaired && begin < this.#heldUntil - renewBeforeMs) return true
    const { affectedRows } = await this.#database.run((connection) =>
      connection.write(
        `UPDATE lease SET holder = ?, impaired = ?, lease_until = NOW(3) + INTERVAL ? MICROSECOND
         WHERE job = ? AND (holder = ? OR lease_until <= NOW(3) OR (impaired AND NOT ?))`,
        [this.#holder, impaired, leaseMs * 1_000, this.#job, this.#holder, impaired],
      ),
    )
    this.#heldUntil = affectedRows > 0 ? begin + leaseMs : -Infinity
    return affectedRows > 0
  }

  async release(): Promise<void> {
    this.#heldUntil = -Infinity
    await this.#database.run((connection) =>
      connection.write('UPDATE lease SET lease_until = NOW(3) WHERE job = ? AND holder = ?', [this.#job, this.#holder]),
    )
  }
}
