import { randomUUID } from 'node:crypto'
import type { Database } from '../database/database.ts'

/** After this time without a renewal, another instance sweeps. */
const leaseMs = 5_000
/** The lease is renewed when less than this is left. */
const renewBeforeMs = 3_000

/** The right to sweep, which one instance has at a time. No lock is held: it expires when its holder vanishes. */
export class SweepLease {
  readonly #database: Database
  readonly #holder = randomUUID()
  #heldUntil = -Infinity

  constructor(database: Database) {
    this.#database = database
  }

  /**
   * Takes or renews the lease, and returns whether this instance has it. An instance that is `impaired`, because it cannot reach all of
   * Redis, yields it to any other.
   */
  async hold({ impaired }: { impaired: boolean }): Promise<boolean> {
    const begin = performance.now()
    if (!impaired && begin < this.#heldUntil - renewBeforeMs) return true
    const { affectedRows } = await this.#database.run((connection) =>
      connection.write(
        `UPDATE outbox_sweep SET holder = ?, impaired = ?, lease_until = NOW(3) + INTERVAL ? MICROSECOND
         WHERE id = 1 AND (holder = ? OR lease_until <= NOW(3) OR (impaired AND NOT ?))`,
        [this.#holder, impaired, leaseMs * 1_000, this.#holder, impaired],
      ),
    )
    this.#heldUntil = affectedRows > 0 ? begin + leaseMs : -Infinity
    return affectedRows > 0
  }

  async release(): Promise<void> {
    this.#heldUntil = -Infinity
    await this.#database.run((connection) =>
      connection.write('UPDATE outbox_sweep SET lease_until = NOW(3) WHERE id = 1 AND holder = ?', [this.#holder]),
    )
  }
}
