import type { TaskMessage, TaskState as KnownState } from '@tidings/protocol'
import { nextTaskState } from '@tidings/protocol/task-state'
import type { HttpApi } from '../http-api.ts'
import { Cell } from '../store.ts'
import type { TaskEvent, TaskHandle, TaskState } from './task.ts'
import { TaskReader } from './task-reader.ts'

/** Delivers the events of watched tasks. */
export interface TaskFeed {
  /** `fresh`: the events start with a snapshot. */
  watch(taskId: string, fresh: boolean): void
  unwatch(taskId: string): void
}

/** A task is unwatched this long after its last follower left: React unmounts and mounts again, and pages switch views. */
const unwatchDelayMs = 1_000
/** If nothing arrives, the snapshot is requested again after this time, then after twice as much each time. */
const firstSnapshotTimeoutMs = 5_000
/** Requests that are followed by another one if nothing arrives. */
const maxSnapshotRetries = 5

const endStatuses: ReadonlySet<TaskState['status']> = new Set(['succeeded', 'failed', 'cancelled', 'interrupted'])

/** A task's state, kept up to date by its events while it is followed. */
export class LiveTask implements TaskHandle {
  readonly taskId: string
  readonly #feed: TaskFeed
  readonly #api: HttpApi
  readonly #cell: Cell<TaskState>
  readonly #readers = new Set<TaskReader>()
  /** Undefined until the first snapshot. */
  #known: KnownState | undefined
  /** Subscriptions and iterations. */
  #followers = 0
  #watched = false
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(taskId: string, feed: TaskFeed, api: HttpApi) {
    this.taskId = taskId
    this.#feed = feed
    this.#api = api
    this.#cell = new Cell<TaskState>(unknown(taskId))
  }

  get followed(): boolean {
    return this.#followers > 0
  }

  readonly getSnapshot = (): TaskState => this.#cell.getSnapshot()

  readonly subscribe = (listener: (task: TaskState) => void): (() => void) => {
    const unsubscribe = this.#cell.subscribe(listener)
    this.#follow()
    let left = false
    return () => {
      unsubscribe()
      if (!left) this.#unfollow()
      left = true
    }
  }

  readonly cancel = async (): Promise<boolean> => (await this.#api.post(`/task/${this.taskId}/cancel`)).ok

  async *[Symbol.asyncIterator](): AsyncGenerator<TaskEvent, void> {
    const reader = new TaskReader()
    this.#readers.add(reader)
    if (this.#known) for (const event of eventsOf(this.getSnapshot())) reader.push(event, this.#snapshot)
    this.#follow()
    try {
      for (;;) {
        const event = await reader.next()
        if (!event) return
        yield event
        if (event.type === 'finished') return
      }
    } finally {
      this.#readers.delete(reader)
      this.#unfollow()
    }
  }

  message(message: TaskMessage): void {
    const next = nextTaskState(this.#known, message)
    // An event before the first snapshot cannot be applied. The snapshot that follows includes it.
    if (!next) return
    this.#known = next
    this.#cell.set(next as TaskState)
    const events = message.type === 'snapshot' || message.type === 'created' ? eventsOf(this.getSnapshot()) : stepsOf(message)
    for (const reader of this.#readers) for (const event of events) reader.push(event, this.#snapshot)
    if (endStatuses.has(next.status)) this.#unwatch()
  }

  /** Too many tasks are followed: nothing arrives until another one has ended or is no longer followed. */
  waits(): void {
    if (!this.#known) this.#cell.set({ ...unknown(this.taskId), waiting: true })
  }

  /** Ends all iterations. The state stays. */
  end(): void {
    for (const reader of this.#readers) reader.end()
  }

  /** Another member has signed in: discards the state, and watches again if followed. */
  reset(): void {
    this.#known = undefined
    this.#cell.set(unknown(this.taskId))
    this.#unwatch()
    if (this.#followers > 0) this.#watch()
  }

  readonly #snapshot = (): TaskEvent => ({ type: 'snapshot', state: this.getSnapshot() })

  #follow(): void {
    this.#followers += 1
    if (!this.#watched && !endStatuses.has(this.getSnapshot().status)) this.#watch()
  }

  #unfollow(): void {
    this.#followers -= 1
    setTimeout(() => {
      if (this.#followers === 0) this.#unwatch()
    }, unwatchDelayMs)
  }

  #watch(requests = 1): void {
    this.#watched = true
    this.#feed.watch(this.taskId, true)
    if (requests > maxSnapshotRetries) return
    this.#timer = setTimeout(() => this.#known ?? this.#watch(requests + 1), firstSnapshotTimeoutMs * 2 ** (requests - 1))
  }

  #unwatch(): void {
    clearTimeout(this.#timer)
    if (this.#watched) this.#feed.unwatch(this.taskId)
    this.#watched = false
  }
}

function unknown(taskId: string): TaskState {
  return { taskId, status: 'unknown', text: '', data: [] }
}

/** Returns the steps in a message: one for each value of `data`. */
function stepsOf(message: Exclude<TaskMessage, { type: 'snapshot' | 'created' }>): TaskEvent[] {
  return message.type === 'data' ? message.data.map((data) => ({ type: 'data', data })) : [message as TaskEvent]
}

/** Returns a snapshot, followed by `finished` when the task has ended: every iteration ends with it. */
function eventsOf(state: TaskState): TaskEvent[] {
  const snapshot: TaskEvent = { type: 'snapshot', state }
  const { status, result, error } = state
  if (status === 'unknown' || !endStatuses.has(status)) return [snapshot]
  return [snapshot, { type: 'finished', status, ...(result !== undefined && { result }), ...(error !== undefined && { error }) }]
}
