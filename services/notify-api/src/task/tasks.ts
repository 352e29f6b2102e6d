import type { Log, RedisTarget } from '@tidings/chassis'
import type { Database } from '../database/database.ts'
import type { Outbox } from '../outbox/outbox.ts'
import type { Reach } from '../reach/reach.ts'
import { TaskCreation } from './creation.ts'
import { TaskEnding } from './ending.ts'
import { TaskHistory, type TaskLimits } from './history.ts'
import { LeaseSweep } from './lease-sweep.ts'
import { TaskReader } from './reader.ts'
import type { TerminalStatus } from './row.ts'
import { TaskStore } from './store.ts'
import { TaskUploads } from './uploads.ts'
import { TaskWriter } from './writer.ts'

export interface TasksOptions {
  readonly database: Database
  readonly outbox: Pick<Outbox, 'publish' | 'publishEach'>
  readonly reach: Pick<Reach, 'expedite'>
  readonly redis: RedisTarget
  readonly publishTimeoutMs: number
  readonly limits: TaskLimits
  /** Silence after which an upload is ended. */
  readonly idleMs: number
  /** Time between two appends of an upload. */
  readonly rollUpMs: number
  readonly log: Log
  /** Called once for each task that this instance ends. */
  readonly onEnd: (status: TerminalStatus) => void
}

/** What the routes of tasks need. */
export interface Tasks {
  readonly creation: TaskCreation
  readonly writer: TaskWriter
  readonly uploads: TaskUploads
  readonly ending: TaskEnding
  readonly reader: TaskReader
}

export interface OpenTasks extends Tasks {
  /** Resolves when the connection to Redis is ready, or when the first attempt to connect has failed. */
  untilConnected(): Promise<void>
  /** To be called after the last request. */
  close(): Promise<void>
}

/**
 * Long-running work (TASK.md). While a task runs, its text and data are in the history of its channel in Redis, and MySQL has a row with
 * its lease. Its end is stored in MySQL with all text and data, and published after that.
 */
export function openTasks(options: TasksOptions): OpenTasks {
  const { database, outbox, reach, redis, publishTimeoutMs, limits, idleMs, rollUpMs, log, onEnd } = options
  const { leaseMs } = limits
  const store = new TaskStore(database, leaseMs)
  const history = new TaskHistory(redis, { timeoutMs: publishTimeoutMs, limits, log })
  const creation = new TaskCreation({ store, history, outbox, leaseMs, log })
  const writer = new TaskWriter({ store, history, leaseMs, log })
  const uploads = new TaskUploads({ writer, history, leaseMs, idleMs, rollUpMs, log })
  const ending = new TaskEnding({ store, history, outbox, reach, log, onEnd })
  const reader = new TaskReader({ store, history, log })
  const leaseSweep = new LeaseSweep({ store, history, ending, leaseMs, log })
  return {
    creation,
    writer,
    uploads,
    ending,
    reader,
    untilConnected: () => history.untilConnected(),
    async close() {
      uploads.close()
      await leaseSweep.close()
      await writer.close()
      history.disconnect()
    },
  }
}
