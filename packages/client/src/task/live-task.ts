import type { TaskMessage, TaskState as KnownState } from '@tidings/protocol'
import { nextTaskState } from '@tidings/protocol/task-state'
import type { HttpApi } from '../http-api.ts'
import { Cell } from '../store.ts'
import type { TaskEvent, TaskHandle, TaskState } from './task.ts'
import { TaskReader } from './task-reader.ts'

export interface TaskOwner {
  /** `fresh`: a snapshot is wanted. */
  watch(taskId: string, fresh: boolean): void
  unwatch(taskId: string): void
}

/** React leaves and comes back when it mounts twice; so do pages that switch views. */
const lingerMs = 1_000
/** Without a word about the task, a snapshot is asked for again: after this time, then twice as much, this many times. */
const askAgainMs = 5_000
const maxAsks = 5

const over: ReadonlySet<TaskState['status']> = new Set(['succeeded', 'failed', 'cancelled', 'interrupted'])

export class LiveTask implements TaskHandle {
  readonly taskId: string
  readonly #owner: TaskOwner
  readonly #api: HttpApi
  readonly #cell: Cell<TaskState>
  readonly #readers = new Set<TaskReader>()
  #known: KnownState | undefined
  #followers = 0
  #watched = false
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(taskId: string, owner: TaskOwner, api: HttpApi) {
    this.taskId = taskId
    this.#owner = owner
    this.#api = api
    this.#cell = new Cell<TaskState>(unknown(taskId))
  }

  get followed(): boolean {
    return this.#followers > 0
  }

  readonly getSnapshot = (): TaskState => this.#cell.getSnapshot()

  readonly subscribe = (listener: () => void): (() => void) => {
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
    // Without a snapshot there is nothing that it could be added to; one is on its way.
    if (!next) return
    this.#known = next
    this.#cell.set(next as TaskState)
    const events =
      message.type === 'snapshot' || message.type === 'created' ? eventsOf(this.getSnapshot()) : [message as TaskEvent]
    for (const reader of this.#readers) for (const event of events) reader.push(event, this.#snapshot)
    if (over.has(next.status)) this.#unwatch()
  }

  /** Iterations end; what is known stays. */
  end(): void {
    for (const reader of this.#readers) reader.end()
  }

  /** Somebody else has signed in. */
  reset(): void {
    this.#known = undefined
    this.#cell.set(unknown(this.taskId))
    this.#unwatch()
    if (this.#followers > 0) this.#watch()
  }

  readonly #snapshot = (): TaskEvent => ({ type: 'snapshot', state: this.getSnapshot() })

  #follow(): void {
    this.#followers += 1
    if (!this.#watched && !over.has(this.getSnapshot().status)) this.#watch()
  }

  #unfollow(): void {
    this.#followers -= 1
    setTimeout(() => {
      if (this.#followers === 0) this.#unwatch()
    }, lingerMs)
  }

  #watch(asks = 1): void {
    this.#watched = true
    this.#owner.watch(this.taskId, true)
    if (asks > maxAsks) return
    this.#timer = setTimeout(() => this.#known ?? this.#watch(asks + 1), askAgainMs * 2 ** (asks - 1))
  }

  #unwatch(): void {
    clearTimeout(this.#timer)
    if (this.#watched) this.#owner.unwatch(this.taskId)
    this.#watched = false
  }
}

function unknown(taskId: string): TaskState {
  return { taskId, status: 'unknown', text: '', data: [] }
}

/** Who iterates hears `finished` in any case. */
function eventsOf(state: TaskState): TaskEvent[] {
  const snapshot: TaskEvent = { type: 'snapshot', state }
  const { status, result, error } = state
  if (status === 'unknown' || !over.has(status)) return [snapshot]
  return [snapshot, { type: 'finished', status, ...(result !== undefined && { result }), ...(error !== undefined && { error }) }]
}
