import { setImmediate } from 'node:timers/promises'
import { FailureLog, type Log } from '@tidings/chassis'
import type { AcceptedTaskEvent } from '@tidings/protocol'
import { Problem, unavailable } from '../http/problem.ts'
import { beforeEndedTasks, type TaskHistory } from './history.ts'
import { taskOver } from './problem.ts'
import { TaskUpload, type UploadRequest } from './upload.ts'
import type { TaskWriter } from './writer.ts'

export interface TaskUploadsOptions {
  readonly writer: TaskWriter
  readonly history: TaskHistory
  readonly leaseMs: number
  /** Silence after which an upload is ended. */
  readonly idleMs: number
  /** Time between two appends of an upload. */
  readonly rollUpMs: number
  readonly log: Log
}

/** Longest time until a silent producer learns of a cancel that another instance accepted. One read of Redis serves all uploads. */
const checkIntervalMs = 50
/** The lease of a silent upload is renewed this many times before it would expire. */
const keepAlivesPerLease = 3

/**
 * The uploads that are open on this instance. One timer checks all that are silent: whether their task is over, whether their lease is
 * due for renewal, and whether they have been silent for too long.
 */
export class TaskUploads {
  readonly #options: TaskUploadsOptions
  readonly #failures: FailureLog
  readonly #open = new Set<TaskUpload>()
  readonly #timer: NodeJS.Timeout
  #checking = false
  #position = beforeEndedTasks
  #stopping = false

  constructor(options: TaskUploadsOptions) {
    this.#options = options
    this.#failures = new FailureLog(options.log, 'error')
    this.#timer = setInterval(() => void this.#checkSilent(), checkIntervalMs)
  }

  /**
   * Appends the body of a request to a task, for as long as it takes. Resolves at its end.
   *
   * @throws Problem as `TaskWriter.writeById`, those of the decoder, `stream-idle`, or `unavailable` when this instance is stopping.
   */
  async receive(taskId: string, request: UploadRequest): Promise<AcceptedTaskEvent> {
    const upload = await TaskUpload.begin(taskId, request, this.#options)
    if (this.#stopping) throw stopping()
    this.#open.add(upload)
    try {
      return await upload.receive()
    } finally {
      this.#open.delete(upload)
    }
  }

  /** Ends all uploads, and refuses new ones: their producers continue at another instance. */
  stopAll(): void {
    this.#stopping = true
    for (const upload of this.#open) upload.stop(stopping())
  }

  close(): void {
    clearInterval(this.#timer)
  }

  async #checkSilent(): Promise<void> {
    if (this.#checking) return
    this.#checking = true
    const now = performance.now()
    const silent = [...this.#open].filter(({ aliveAt }) => now - aliveAt >= checkIntervalMs)
    if (silent.length > 0) await Promise.all([this.#stopEnded(), ...silent.map((upload) => this.#check(upload, now))])
    this.#checking = false
  }

  /** Stops the uploads of tasks that have ended since the last read. An end that is missed is found when the lease is renewed. */
  async #stopEnded(): Promise<void> {
    const { history } = this.#options
    try {
      const { tasks, position } = await history.endedSince(this.#position)
      this.#position = position
      // An upload whose task was not over at its begin, in an earlier reply of Redis, is open by then.
      await setImmediate()
      const statuses = new Map(tasks.map(({ taskId, status }) => [taskId, status]))
      for (const upload of this.#open) {
        const status = statuses.get(upload.task.taskId)
        if (status !== undefined) upload.stop(taskOver(status))
      }
    } catch (error) {
      if (!(error instanceof Problem)) this.#failures.failed('ended tasks could not be read', error)
    }
  }

  async #check(upload: TaskUpload, now: number): Promise<void> {
    const { leaseMs, idleMs } = this.#options
    if (now - upload.writtenAt > idleMs) {
      upload.stop(new Problem('stream-idle', `Nothing came for ${idleMs / 1_000} s (TASK_STREAM_IDLE_SECONDS).`))
      return
    }
    if (now - upload.aliveAt <= leaseMs / keepAlivesPerLease) return
    try {
      await upload.keepAlive(now)
    } catch (error) {
      if (!(error instanceof Problem)) this.#failures.failed('check of a silent upload failed', error)
      // While Redis or MySQL is away the upload stays open.
      else if (error.problem !== 'unavailable') upload.stop(error)
    }
  }
}

function stopping(): Problem {
  return unavailable('This instance is stopping: go on with another upload.')
}
