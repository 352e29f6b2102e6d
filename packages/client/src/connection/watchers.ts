import type { TabMessage } from '../tab/tab-message.ts'
import type { Link } from './link.ts'
import type { Places } from './places.ts'

/** A session has 64 subscriptions (PROTOCOL.md §8); the rest is for what everybody has. */
const maxTasks = 50
const prefix = '/member/queue/task.'

type Watch = { readonly tab: string; readonly taskId: string; readonly fresh: boolean }

/** Which tab watches which task: each tab knows its own, the leading one all of them, and subscribes to a task once. */
export class Watchers {
  readonly #tab: string
  readonly #places: Places
  readonly #link: Pick<Link, 'subscribe' | 'unsubscribe'>
  readonly #own = new Set<string>()
  /** In the leading tab: by task, who watches. */
  readonly #tabs = new Map<string, Set<string>>()

  constructor(tab: string, places: Places, link: Pick<Link, 'subscribe' | 'unsubscribe'>) {
    this.#tab = tab
    this.#places = places
    this.#link = link
  }

  *destinations(): Iterable<string> {
    for (const taskId of this.#tabs.keys()) yield prefix + taskId
  }

  want(taskId: string): void {
    this.#own.add(taskId)
  }

  unwant(taskId: string): void {
    this.#own.delete(taskId)
  }

  /** This tab leads now: the others will tell what they watch. */
  lead(): void {
    this.#tabs.clear()
    for (const taskId of this.#own) this.#tabs.set(taskId, new Set([this.#tab]))
  }

  /** Another tab leads now, and does not know yet. Our places are where it goes on, so no snapshot is asked for where we have one. */
  follow(post: (message: TabMessage) => void): void {
    for (const taskId of this.#own) {
      const fresh = this.#places.lastMessageId(prefix + taskId) === undefined
      post({ type: 'watch', tab: this.#tab, taskId, fresh })
    }
  }

  leave(post: (message: TabMessage) => void): void {
    for (const taskId of this.#own) {
      post({ type: 'unwatch', tab: this.#tab, taskId })
      this.#places.forget(prefix + taskId)
    }
    this.#tabs.clear()
  }

  watch({ tab, taskId, fresh }: Watch): void {
    const tabs = this.#tabs.get(taskId)
    if (tabs) {
      tabs.add(tab)
      if (fresh) this.renew(prefix + taskId)
      return
    }
    const [oldest] = this.#tabs.keys()
    if (this.#tabs.size >= maxTasks && oldest !== undefined) this.#drop(oldest)
    this.#tabs.set(taskId, new Set([tab]))
    if (fresh) this.#places.forget(prefix + taskId)
    this.#link.subscribe(prefix + taskId, this.#places.lastMessageId(prefix + taskId))
  }

  unwatch({ tab, taskId }: Omit<Watch, 'fresh'>): void {
    const tabs = this.#tabs.get(taskId)
    if (tabs?.delete(tab) && tabs.size === 0) this.#drop(taskId)
  }

  /** In the leading tab: subscribes anew, for a snapshot. */
  renew(destination: string): void {
    if (!this.#tabs.has(destination.slice(prefix.length))) return
    this.#places.forget(destination)
    this.#link.unsubscribe(destination)
    this.#link.subscribe(destination)
  }

  /** Nothing comes after `finished`. */
  saw(destination: string, message: unknown, leading: boolean): void {
    if (leading && (message as { type?: unknown } | undefined)?.type === 'finished') this.#drop(destination.slice(prefix.length))
  }

  #drop(taskId: string): void {
    if (!this.#tabs.delete(taskId)) return
    this.#link.unsubscribe(prefix + taskId)
    this.#places.forget(prefix + taskId)
  }
}
