import type { TaskAnnouncement, TaskMessage } from '@tidings/protocol'
import { type BackoffLimits, backoffMs } from '../connection/backoff.ts'
import type { HttpApi } from '../http-api.ts'
import { Cell, type Store } from '../store.ts'
import { LiveTask, type TaskFeed } from './live-task.ts'
import type { TaskSummary, TasksState } from './task.ts'

/** Length of the list. */
const maxListed = 50
/** Handles that are kept. Above this number, the oldest one that is not followed is kept only for as long as the page holds it. */
const maxHandles = 100

/** With `task.` before it, the name of a queue (PROTOCOL.md §5, Destinations). The gateway closes the session for any other name. */
const taskIdPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,122}$/

/** The member's tasks: the list of them, and a handle for each that was requested. */
export class LiveTasks implements Store<TasksState> {
  readonly #feed: TaskFeed
  readonly #api: HttpApi
  readonly #limits: BackoffLimits
  readonly #cell = new Cell<TasksState>({ items: [] })
  readonly #handles = new Map<string, LiveTask>()
  /** Handles that the page may still hold. */
  readonly #evicted = new Map<string, WeakRef<LiveTask>>()
  readonly #collected = new FinalizationRegistry<string>((taskId) => {
    if (!this.#evicted.get(taskId)?.deref()) this.#evicted.delete(taskId)
  })
  /** The list was requested. */
  #listed = false
  /** No request for the list has succeeded since the last one started. */
  #outdated = false
  /** For each running request for the list: the announcements since it started, by task. */
  readonly #readings = new Set<Map<string, TaskSummary>>()
  /** Requests for the list that failed since the last success. */
  #failures = 0
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(feed: TaskFeed, api: HttpApi, limits: BackoffLimits) {
    this.#feed = {
      watch: (taskId, fresh) => {
        // A handle that is followed again receives messages again.
        this.#find(taskId)
        feed.watch(taskId, fresh)
      },
      unwatch: (taskId) => feed.unwatch(taskId),
    }
    this.#api = api
    this.#limits = limits
  }

  readonly getSnapshot = (): TasksState => this.#cell.getSnapshot()

  /** The first subscription reads the list over HTTP. Announcements keep it up to date. */
  readonly subscribe = (listener: (tasks: TasksState) => void): (() => void) => {
    const unsubscribe = this.#cell.subscribe(listener)
    if (!this.#listed) void this.#list()
    return unsubscribe
  }

  /** Returns the handle of a task. @throws TypeError when the id cannot be a task's. */
  readonly task = (taskId: string): LiveTask => {
    if (!taskIdPattern.test(taskId)) throw new TypeError(`not a task id: ${taskId}`)
    return this.#find(taskId) ?? this.#keep(new LiveTask(taskId, this.#feed, this.#api))
  }

  #find(taskId: string): LiveTask | undefined {
    const evicted = this.#evicted.get(taskId)?.deref()
    return evicted ? this.#keep(evicted) : this.#handles.get(taskId)
  }

  #keep(handle: LiveTask): LiveTask {
    this.#evicted.delete(handle.taskId)
    this.#handles.set(handle.taskId, handle)
    if (this.#handles.size <= maxHandles) return handle
    for (const [taskId, oldest] of this.#handles) {
      if (oldest.followed || oldest === handle) continue
      this.#handles.delete(taskId)
      this.#evicted.set(taskId, new WeakRef(oldest))
      this.#collected.register(oldest, taskId)
      break
    }
    return handle
  }

  message(taskId: string, message: TaskMessage): void {
    this.#handles.get(taskId)?.message(message)
  }

  /** See {@link LiveTask.waits}. */
  waits(taskId: string): void {
    this.#handles.get(taskId)?.waits()
  }

  announced({ taskId, kind, title, status }: TaskAnnouncement): void {
    const summary: TaskSummary = { taskId, kind, status, ...(title !== undefined && { title }) }
    for (const announcedSince of this.#readings) announcedSince.set(taskId, summary)
    const { items } = this.getSnapshot()
    const known = items.some((item) => item.taskId === taskId)
    const next = known ? items.map((item) => (item.taskId === taskId ? summary : item)) : [summary, ...items]
    this.#cell.set({ items: next.slice(0, maxListed) })
  }

  /** Announcements may have been lost: reads the list again, at a random time within `spreadMs`. */
  missed(spreadMs = 0): void {
    if (!this.#listed) return
    this.#outdated = true
    clearTimeout(this.#timer)
    if (spreadMs === 0) void this.#list()
    else this.#timer = setTimeout(() => void this.#list(), Math.random() * spreadMs)
  }

  /** The connection is established: reads the list if that failed before, for instance with 401. */
  connected(): void {
    if (this.#outdated && this.#readings.size === 0) void this.#list()
  }

  /** Ends iterations, and discards running requests. */
  stop(): void {
    clearTimeout(this.#timer)
    this.#readings.clear()
    for (const handle of this.#handles.values()) handle.end()
  }

  /** Another member has signed in: discards everything, and reads the list again. */
  reset(): void {
    this.clear()
    this.missed()
  }

  /** Discards everything, including the responses of running requests. */
  clear(): void {
    this.#readings.clear()
    this.#cell.set({ items: [] })
    for (const handle of this.#handles.values()) handle.reset()
    for (const evicted of this.#evicted.values()) evicted.deref()?.reset()
    this.#outdated = this.#listed
  }

  async #list(): Promise<void> {
    this.#listed = true
    this.#outdated = true
    clearTimeout(this.#timer)
    const announcedSince = new Map<string, TaskSummary>()
    this.#readings.add(announcedSince)
    const result = await this.#api.get<{ items: readonly TaskSummary[] }>(`/task?limit=${maxListed}`)
    if (!this.#readings.delete(announcedSince)) return
    if (!result.ok) {
      const waitMs = backoffMs(this.#failures++, this.#limits)
      if (result.status !== 401) this.#timer = setTimeout(() => void this.#list(), waitMs)
      return
    }
    this.#outdated = false
    this.#failures = 0
    // What was announced during the request is newer than the response, or already in it.
    const read = new Map(result.body.items.map((item) => [item.taskId, announcedSince.get(item.taskId) ?? item]))
    const announced = this.getSnapshot().items.filter(({ taskId }) => !read.has(taskId))
    this.#cell.set({ items: [...announced, ...read.values()].slice(0, maxListed) })
  }
}
