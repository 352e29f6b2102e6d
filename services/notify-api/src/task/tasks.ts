import { type Log, loggable } from '@tidings/chassis'
import type { TaskStatus } from '@tidings/protocol'
import type { Outbox } from '../outbox/outbox.ts'
import type { Database } from '../database/database.ts'
import type { TaskName, TerminalStatus } from './row.ts'
import { isOpen, TaskStore } from './store.ts'
import { TaskEnding } from './ending.ts'
import { TaskHistory, type TaskLimits } from './history.ts'
import { TaskLease } from './lease.ts'
import { taskExists } from './problem.ts'
import { TaskReader } from './reader.ts'
import { TaskStreams } from './streams.ts'
import { TaskWriter } from './writer.ts'

export interface TasksOptions {
  readonly database: Database
  readonly outbox: Pick<Outbox, 'publish'>
  readonly redisUrl: string
  readonly publishTimeoutMs: number
  readonly limits: TaskLimits
  readonly idleMs: number
  readonly log: Log
  readonly onEnd: (status: TerminalStatus) => void
}

/**
 * Long-running work (PROTOCOL.md §4, Tasks). While a task runs, the history of its channel is the truth about it, and MySQL has a row
 * with its lease; its end is stored in MySQL, and published after that.
 */
export class Tasks {
  readonly leaseSeconds: number
  readonly writer: TaskWriter
  readonly ending: TaskEnding
  readonly reader: TaskReader
  readonly streams: TaskStreams
  readonly #store: TaskStore
  readonly #history: TaskHistory
  readonly #lease: TaskLease
  readonly #outbox: TasksOptions['outbox']
  readonly #log: Log

  constructor({ database, outbox, redisUrl, publishTimeoutMs, limits, idleMs, log, onEnd }: TasksOptions) {
    const { leaseMs } = limits
    const store = new TaskStore(database, leaseMs)
    const history = new TaskHistory(redisUrl, { timeoutMs: publishTimeoutMs, limits, log })
    this.leaseSeconds = leaseMs / 1_000
    this.writer = new TaskWriter({ store, history, log })
    this.ending = new TaskEnding({ store, history, outbox, log, onEnd })
    this.reader = new TaskReader({ store, history, log })
    this.streams = new TaskStreams({ history, writer: this.writer, leaseMs, idleMs, log })
    this.#lease = new TaskLease({ store, history, ending: this.ending, leaseMs, log })
    this.#store = store
    this.#history = history
    this.#outbox = outbox
    this.#log = log
  }

  /** Resolves when there is a connection to Redis, or none could be had. */
  opened(): Promise<void> {
    return this.#history.opened()
  }

  /**
   * Stores a task and tells the member's devices. Cancelled from the beginning when the cancel came before it.
   *
   * @throws Problem `task-exists` when the id is another task's.
   */
  async create(name: TaskName): Promise<{ status: TaskStatus; isNew: boolean }> {
    const { row, isNew, outboxRows } = await this.#store.create(name)
    if (row.memberId !== name.memberId || row.kind !== name.kind) throw taskExists()
    // Its channel begins before anybody is told of it. It is no publication of the outbox, which may come twice: a second beginning
    // would make readers forget what they have.
    if (isNew || isOpen(row)) await this.#begin(name, row.status)
    await this.#outbox.publish(outboxRows)
    return { status: row.status, isNew }
  }

  /** After the last request. */
  async close(): Promise<void> {
    this.streams.close()
    await this.#lease.close()
    await this.writer.close()
    this.#history.disconnect()
  }

  async #begin(name: TaskName, status: TaskStatus): Promise<void> {
    try {
      await this.#history.open(name, status)
    } catch (error) {
      this.#log.warn(
        { err: loggable(error), taskId: name.taskId },
        'a task begins without Redis: its channel begins with the first event',
      )
    }
  }
}
