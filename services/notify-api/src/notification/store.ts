import { type Commit, type Failure, GroupCommit, type GroupLimits } from '../database/group-commit.ts'
import type { OutboxRow } from '../outbox/outbox.ts'
import type { Database } from '../database/database.ts'
import { isAway, isDuplicate, isTransient } from '../database/error.ts'
import { KeyTaken, type Once } from './idempotency-store.ts'
import { bodyOf, channelOf, groupScript, type Prepared, prepare } from './write-group.ts'

/** The same content for one member, for several, or for everybody. */
export interface NewNotification {
  /** One row for each, in this order; `[everybody]` for a broadcast. */
  readonly memberIds: readonly number[]
  readonly message: string
  readonly redirectPath: string
  readonly data?: Readonly<Record<string, unknown>> | undefined
  /** Set when the caller gave an idempotency key. */
  readonly once?: Once | undefined
}

/** Committed, in the order of `memberIds`; each with the outbox row that is still to be published. */
export interface Stored {
  readonly notificationIds: readonly number[]
  readonly outboxRows: readonly OutboxRow[]
}

export interface NotificationStoreOptions {
  readonly limits: GroupLimits
  /** Told of each commit: how many commands shared it, and how long it took. */
  readonly onCommit: (commands: number, seconds: number) => void
}

/** Writes notifications with their outbox rows; concurrent ones share one transaction, sent in one round trip. */
export class NotificationStore implements Commit<Prepared, Stored> {
  readonly #database: Database
  readonly #increment: number
  readonly #group: GroupCommit<Prepared, Stored>
  readonly #onCommit: NotificationStoreOptions['onCommit']

  /** `database` must allow scripts. */
  static async open(database: Database, options: NotificationStoreOptions): Promise<NotificationStore> {
    const [row] = await database.transaction((connection) =>
      connection.rows<{ step: number }>('SELECT @@auto_increment_increment AS step'),
    )
    return new NotificationStore(database, row?.step ?? 1, options)
  }

  private constructor(database: Database, increment: number, { limits, onCommit }: NotificationStoreOptions) {
    this.#database = database
    this.#increment = increment
    this.#group = new GroupCommit(this, limits)
    this.#onCommit = onCommit
  }

  /** @throws DatabaseAway, Overload, KeyTaken, or the database's refusal of these values. */
  async add(notification: NewNotification): Promise<Stored> {
    try {
      return await this.#group.submit(prepare(notification))
    } catch (error) {
      throw isDuplicate(error) ? new KeyTaken() : error
    }
  }

  /** The ids of `count` notifications that were stored together, the first of which is known. */
  idsFrom(first: number, count: number): number[] {
    return Array.from({ length: count }, (_, index) => first + index * this.#increment)
  }

  get queued(): number {
    return this.#group.queued
  }

  /** Resolves when all that was added has been answered. */
  close(): Promise<void> {
    return this.#group.close()
  }

  /** @internal for the group commit */
  async commit(group: readonly Prepared[]): Promise<Stored[]> {
    const begin = performance.now()
    const { sql, notifications, outbox } = groupScript(group, this.#increment)
    const headers = await this.#database.run((connection) => connection.script(sql))
    this.#onCommit(group.length, (performance.now() - begin) / 1_000)
    let notificationId = headers[notifications]?.insertId ?? Number.NaN
    let outboxId = headers[outbox]?.insertId ?? Number.NaN
    return group.map(({ memberIds, bodyEnd }) => {
      const notificationIds: number[] = []
      const outboxRows: OutboxRow[] = []
      for (const memberId of memberIds) {
        notificationIds.push(notificationId)
        outboxRows.push({ outboxId, channel: channelOf(memberId), body: bodyOf(memberId, notificationId, bodyEnd) })
        notificationId += this.#increment
        outboxId += this.#increment
      }
      return { notificationIds, outboxRows }
    })
  }

  /** @internal for the group commit */
  failure(error: unknown): Failure {
    if (isAway(error)) return 'all'
    return isTransient(error) ? 'retry' : 'split'
  }
}
