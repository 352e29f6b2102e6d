import type { Link } from '../connection/link.ts'
import type { ResumePoints } from '../connection/resume-points.ts'
import type { Subscribed } from '../connection/stomp-session.ts'
import type { TabMessage } from './tab-message.ts'

/** Of the 64 subscriptions that a session may hold (PROTOCOL.md §8). */
const maxDestinations = 20

type Listen = Omit<Extract<TabMessage, { type: 'listen' }>, 'type'>

export interface MessageListenersOptions {
  /** Id of this tab. */
  readonly tab: string
  readonly resumePoints: ResumePoints
  readonly link: Pick<Link, 'subscribe' | 'unsubscribe'>
  /** Reports to all tabs what became of a subscription. */
  readonly report: (subscribed: Subscribed) => void
}

/** The destinations of messages that tabs listen to. Each tab knows its own; the leading tab knows those of all, and subscribes once. */
export class MessageListeners {
  readonly #options: MessageListenersOptions
  readonly #own = new Set<string>()
  /** In the leading tab: the ids of the tabs that listen, by destination. */
  readonly #tabs = new Map<string, Set<string>>()

  constructor(options: MessageListenersOptions) {
    this.#options = options
  }

  /** What the leading tab subscribes to. */
  destinations(): Iterable<string> {
    return this.#tabs.keys()
  }

  /** Whether this tab listens. */
  has(destination: string): boolean {
    return this.#own.has(destination)
  }

  /** This tab listens from now on: a position of an earlier time no longer counts. */
  add(destination: string): void {
    this.#own.add(destination)
    if (!this.#tabs.has(destination)) this.#options.resumePoints.forget(destination)
  }

  remove(destination: string): void {
    this.#own.delete(destination)
  }

  /** This tab leads from now on. The others post what they listen to when they receive its state. */
  lead(): void {
    this.#tabs.clear()
    for (const destination of this.#own) this.#tabs.set(destination, new Set([this.#options.tab]))
  }

  /** This tab leads no longer. */
  replaced(): void {
    this.#tabs.clear()
  }

  /** Another tab leads from now on: posts what this tab listens to, and from where. */
  follow(post: (message: TabMessage) => void): void {
    for (const destination of this.#own) post(this.listenMessage(destination))
  }

  /** This tab stops. Its resume points stay for a later start. */
  leave(post: (message: TabMessage) => void): void {
    for (const destination of this.#own) post({ type: 'unlisten', tab: this.#options.tab, destination })
    this.#tabs.clear()
  }

  listenMessage(destination: string): TabMessage {
    const { tab, resumePoints } = this.#options
    return { type: 'listen', tab, destination, after: resumePoints.lastMessageId(destination) }
  }

  /** In the leading tab: subscribes for another tab or for itself. */
  listen({ tab, destination, after }: Listen): void {
    const { resumePoints, link, report } = this.#options
    const tabs = this.#tabs.get(destination)
    if (tabs) {
      tabs.add(tab)
      const position = resumePoints.lastMessageId(destination)
      // Otherwise the RECEIPT is still to come.
      if (position !== undefined) report({ destination, position, outcome: 'fresh' })
      return
    }
    const [oldest] = this.#tabs.keys()
    if (this.#tabs.size >= maxDestinations && oldest !== undefined) {
      this.#drop(oldest)
      report({ destination: oldest, outcome: 'lost' })
    }
    this.#tabs.set(destination, new Set([tab]))
    if (after === undefined) resumePoints.forget(destination)
    else resumePoints.advance(destination, after)
    link.subscribe(destination, after)
  }

  /** In the leading tab: unsubscribes when no other tab listens. */
  unlisten({ tab, destination }: Omit<Listen, 'after'>): void {
    const tabs = this.#tabs.get(destination)
    if (tabs?.delete(tab) && tabs.size === 0) this.#drop(destination)
  }

  /** In the leading tab: the gateway refuses the destination. Returns false if no tab listens to it. */
  refused(destination: string): boolean {
    if (!this.#tabs.has(destination)) return false
    this.#drop(destination)
    this.#options.report({ destination, outcome: 'refused' })
    return true
  }

  #drop(destination: string): void {
    this.#tabs.delete(destination)
    this.#options.link.unsubscribe(destination)
  }
}
