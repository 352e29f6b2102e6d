import type { TaskAnnouncement, TaskMessage } from '@tidings/protocol'
import { type BackoffLimits, backoffMs } from '../connection/backoff.ts'
import type { HttpApi } from '../http-api.ts'
import { Cell, type Store } from '../store.ts'
import { LiveTask, type TaskOwner } from './live-task.ts'
import type { TaskSummary, TasksState } from './task.ts'

const maxListed = 50
/** Handles kept that nobody follows. */
const maxIdle = 100

// With `task.` before it, the name of a queue (PROTOCOL.md §5, Destinations): anything else would cost us the connection.
const taskName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,122}$/

/** The member's tasks: the list of them, and a handle for each that somebody asked for. */
export class LiveTasks implements Store<TasksState> {
  readonly #owner: TaskOwner
  readonly #api: HttpApi
  readonly #limits: BackoffLimits
  readonly #cell = new Cell<TasksState>({ items: [] })
  readonly #handles = new Map<string, LiveTask>()
  #listed = false
  /** The last reading has failed, or was given up. */
  #owing = false
  /** For each reading of the list that goes on: what was announced since it began, by task. */
  readonly #readings = new Set<Map<string, TaskSummary>>()
  /** Readings that have failed since the last that did not. */
  #failures = 0
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(owner: TaskOwner, api: HttpApi, limits: BackoffLimits) {
    this.#owner = owner
    this.#api = api
    this.#limits = limits
  }

  readonly getSnapshot = (): TasksState => this.#cell.getSnapshot()

  /** The first listener has the list read over HTTP; announcements come by themselves. */
  readonly subscribe = (listener: () => void): (() => void) => {
    const unsubscribe = this.#cell.subscribe(listener)
    if (!this.#listed) void this.#list()
    return unsubscribe
  }

  /** @throws TypeError when this can be no task's id. */
  readonly task = (taskId: string): LiveTask => {
    if (!taskName.test(taskId)) throw new TypeError(`no task id: ${taskId}`)
    const known = this.#handles.get(taskId)
    if (known) return known
    if (this.#handles.size >= maxIdle) {
      for (const [id, handle] of this.#handles) if (!handle.followed) this.#handles.delete(id)
    }
    const handle = new LiveTask(taskId, this.#owner, this.#api)
    this.#handles.set(taskId, handle)
    return handle
  }

  message(taskId: string, message: TaskMessage): void {
    this.#handles.get(taskId)?.message(message)
  }

  announced({ taskId, kind, title, status }: TaskAnnouncement): void {
    const summary: TaskSummary = { taskId, kind, status, ...(title !== undefined && { title }) }
    for (const meanwhile of this.#readings) meanwhile.set(taskId, summary)
    const { items } = this.getSnapshot()
    const known = items.some((item) => item.taskId === taskId)
    const next = known ? items.map((item) => (item.taskId === taskId ? summary : item)) : [summary, ...items]
    this.#cell.set({ items: next.slice(0, maxListed) })
  }

  missed(): void {
    if (this.#listed) void this.#list()
  }

  /** Who was not let in is let in again. */
  connected(): void {
    if (this.#owing && this.#readings.size === 0) void this.#list()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#readings.clear()
    for (const handle of this.#handles.values()) handle.end()
  }

  reset(): void {
    // What is still on its way is somebody else's.
    this.#readings.clear()
    this.#cell.set({ items: [] })
    for (const handle of this.#handles.values()) handle.reset()
    this.missed()
  }

  async #list(): Promise<void> {
    this.#listed = true
    this.#owing = true
    clearTimeout(this.#timer)
    const meanwhile = new Map<string, TaskSummary>()
    this.#readings.add(meanwhile)
    const answer = await this.#api.get<{ items: readonly TaskSummary[] }>(`/task?limit=${maxListed}`)
    if (!this.#readings.delete(meanwhile)) return
    if (!answer.ok) {
      const waitMs = backoffMs(this.#failures++, this.#limits)
      if (answer.status !== 401) this.#timer = setTimeout(() => void this.#list(), waitMs)
      return
    }
    this.#owing = false
    this.#failures = 0
    // What was announced meanwhile is newer than the answer, or in it.
    const read = new Map(answer.body.items.map((item) => [item.taskId, meanwhile.get(item.taskId) ?? item]))
    const announced = this.getSnapshot().items.filter(({ taskId }) => !read.has(taskId))
    this.#cell.set({ items: [...announced, ...read.values()].slice(0, maxListed) })
  }
}
