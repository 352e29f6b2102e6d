import type { Link } from '../connection/link.ts'
import type { ResumePoints } from '../connection/resume-points.ts'
import type { TabMessage } from './tab-message.ts'
import { taskPrefix } from './task-destination.ts'

/**
 * Tasks that are subscribed at the same time. A session may hold 64 subscriptions (PROTOCOL.md §8); the rest is for messages, and for the
 * destinations that every session has.
 */
export const maxTasks = 36

type Watch = { readonly tab: string; readonly taskId: string; readonly fresh: boolean }

/**
 * The tasks that tabs watch. Each tab knows its own; the leading tab knows those of all, and subscribes to each task once. Those above
 * `maxTasks` wait until another one has ended or is no longer watched.
 */
export class TaskWatchers {
  readonly #tab: string
  readonly #resumePoints: ResumePoints
  readonly #link: Pick<Link, 'subscribe' | 'unsubscribe'>
  readonly #own = new Set<string>()
  /** In the leading tab: the ids of the tabs that watch each task, by task. */
  readonly #tabs = new Map<string, Set<string>>()
  /** In the leading tab: the tasks that are subscribed. */
  readonly #subscribed = new Set<string>()
  readonly #onWait: (taskId: string) => void

  /** `onWait` is called in the leading tab when a task has to wait. */
  constructor(
    tab: string,
    resumePoints: ResumePoints,
    link: Pick<Link, 'subscribe' | 'unsubscribe'>,
    onWait: (taskId: string) => void,
  ) {
    this.#onWait = onWait
    this.#tab = tab
    this.#resumePoints = resumePoints
    this.#link = link
  }

  *destinations(): Iterable<string> {
    for (const taskId of this.#subscribed) yield taskPrefix + taskId
  }

  /** This tab watches the task. */
  add(taskId: string): void {
    this.#own.add(taskId)
  }

  remove(taskId: string): void {
    this.#own.delete(taskId)
  }

  /** This tab leads from now on. The others post what they watch when they receive its state. */
  lead(): void {
    this.replaced()
    for (const taskId of this.#own) this.watch({ tab: this.#tab, taskId, fresh: false })
  }

  /** This tab leads no longer. */
  replaced(): void {
    this.#tabs.clear()
    this.#subscribed.clear()
  }

  /** Another tab leads from now on: posts what this tab watches. A task with a resume point resumes there and needs no snapshot. */
  follow(post: (message: TabMessage) => void): void {
    for (const taskId of this.#own) {
      const fresh = this.#resumePoints.lastMessageId(taskPrefix + taskId) === undefined
      post({ type: 'watch', tab: this.#tab, taskId, fresh })
    }
  }

  /** This tab stops. */
  leave(post: (message: TabMessage) => void): void {
    for (const taskId of this.#own) {
      post({ type: 'unwatch', tab: this.#tab, taskId })
      this.#resumePoints.forget(taskPrefix + taskId)
    }
    this.replaced()
  }

  /** In the leading tab: subscribes for another tab or for itself. */
  watch({ tab, taskId, fresh }: Watch): void {
    const tabs = this.#tabs.get(taskId)
    if (tabs) tabs.add(tab)
    else this.#tabs.set(taskId, new Set([tab]))
    if (this.#subscribed.has(taskId)) {
      if (fresh) this.resubscribe(taskPrefix + taskId)
      return
    }
    if (fresh) this.#resumePoints.forget(taskPrefix + taskId)
    if (this.#subscribed.size < maxTasks) this.#subscribe(taskId)
    else this.#onWait(taskId)
  }

  /** In the leading tab: unsubscribes when no other tab watches the task. */
  unwatch({ tab, taskId }: Omit<Watch, 'fresh'>): void {
    const tabs = this.#tabs.get(taskId)
    if (tabs?.delete(tab) && tabs.size === 0) this.#drop(taskId)
  }

  /** In the leading tab: subscribes again, without a resume point, which brings a snapshot. */
  resubscribe(destination: string): void {
    if (!this.#subscribed.has(destination.slice(taskPrefix.length))) return
    this.#resumePoints.forget(destination)
    this.#link.unsubscribe(destination)
    this.#link.subscribe(destination)
  }

  /** In the leading tab: unsubscribes from a task that has finished. It has no further events. */
  finished(destination: string): void {
    this.#drop(destination.slice(taskPrefix.length))
  }

  #subscribe(taskId: string): void {
    this.#subscribed.add(taskId)
    this.#link.subscribe(taskPrefix + taskId, this.#resumePoints.lastMessageId(taskPrefix + taskId))
  }

  #drop(taskId: string): void {
    this.#tabs.delete(taskId)
    if (!this.#subscribed.delete(taskId)) return
    this.#link.unsubscribe(taskPrefix + taskId)
    this.#resumePoints.forget(taskPrefix + taskId)
    for (const waiting of this.#tabs.keys()) if (!this.#subscribed.has(waiting)) return this.#subscribe(waiting)
  }
}
