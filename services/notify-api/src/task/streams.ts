import { type Log, loggable } from '@tidings/chassis'
import { Problem, unavailable } from '../http/problem.ts'
import { isTerminal, type TaskName } from './row.ts'
import type { TaskHistory } from './history.ts'
import { taskOver } from './problem.ts'
import type { TaskWriter } from './writer.ts'

/** An upload that is going on. Times are of `performance.now()`. */
export interface TaskStream {
  readonly name: TaskName
  /** When bytes came last. */
  readAt: number
  /** When Redis accepted something of it last, and so told whether the task goes on. */
  acceptedAt: number
  readonly stop: (reason: Problem) => void
}

export interface TaskStreamsOptions {
  readonly history: TaskHistory
  readonly writer: TaskWriter
  readonly leaseMs: number
  readonly idleMs: number
  readonly log: Log
}

/** How soon a producer that streams hears of a cancel at another instance, and when it is silent itself. */
const lookEveryMs = 50

/**
 * Looks after all uploads that are silent for a moment, in one sweep: whether their task was cancelled, that its lease goes on, and
 * that a connection nobody is left on does not stay for ever.
 */
export class TaskStreams {
  readonly #options: TaskStreamsOptions
  readonly #open = new Set<TaskStream>()
  readonly #timer: NodeJS.Timeout
  #looking = false

  constructor(options: TaskStreamsOptions) {
    this.#options = options
    this.#timer = setInterval(() => void this.#look(), lookEveryMs)
  }

  get size(): number {
    return this.#open.size
  }

  /** Answers what takes it out again. */
  add(stream: TaskStream): () => void {
    this.#open.add(stream)
    return () => void this.#open.delete(stream)
  }

  /** Asks all producers to go on elsewhere. */
  stopAll(): void {
    for (const { stop } of this.#open) stop(unavailable('This instance is stopping: go on with another upload.'))
  }

  close(): void {
    clearInterval(this.#timer)
  }

  async #look(): Promise<void> {
    if (this.#looking) return
    this.#looking = true
    const now = performance.now()
    const silent = [...this.#open].filter(({ acceptedAt }) => now - acceptedAt >= lookEveryMs)
    await Promise.all(silent.map((stream) => this.#lookAt(stream, now)))
    this.#looking = false
  }

  async #lookAt(stream: TaskStream, now: number): Promise<void> {
    const { history, writer, leaseMs, idleMs, log } = this.#options
    const { name, readAt, stop } = stream
    if (now - readAt > idleMs) {
      return stop(new Problem('stream-idle', `Nothing came for ${idleMs / 1_000} s (TASK_STREAM_IDLE_SECONDS).`))
    }
    try {
      if (now - stream.acceptedAt > leaseMs / 3) {
        await writer.touch(name)
        stream.acceptedAt = now
        return
      }
      const { status } = await history.pulse(name)
      if (status !== null && isTerminal(status)) stop(taskOver(status))
    } catch (error) {
      if (error instanceof Problem && error.problem !== 'unavailable') stop(error)
      else if (!(error instanceof Problem)) log.error({ err: loggable(error) }, 'looking after an upload failed')
    }
  }
}
