import {
  broadcastDestination,
  errorDestination,
  notificationDestination,
  readDestination,
  sessionDestination,
} from '@tidings/protocol/destination'
import type { MemberId, UnreadCount } from '@tidings/protocol'
import type { ConnectionState } from '../connection/connection-state.ts'
import { Link, type LinkState } from '../connection/link.ts'
import { ResumePoints } from '../connection/resume-points.ts'
import type { SessionRenewal } from '../connection/session-renewal.ts'
import type { Message, Subscribed, Subscription } from '../connection/stomp-session.ts'
import type { HttpApi } from '../http-api.ts'
import type { Settings } from '../options.ts'
import { Cell } from '../store.ts'
import { MessageListeners } from './message-listeners.ts'
import { TabGroup } from './tab-group.ts'
import type { Question, TabMessage } from './tab-message.ts'
import { TabQuestions } from './tab-questions.ts'
import { taskAnnouncementDestination, taskPrefix } from './task-destination.ts'
import { TaskWatchers } from './task-watchers.ts'

export interface SharedConnectionListener {
  /** A message arrived. Repeats are dropped before. The body is an object, except where backends choose it. */
  message(destination: string, body: unknown): void
  /** Messages of this destination may be lost for good: read the state over HTTP, at a random time within `spreadMs`. */
  missed(destination: string, spreadMs: number): void
  /** The gateway does not permit a destination of messages, which is no longer listened to. */
  refused(destination: string): void
  /** The leading tab read the unread count. */
  counted(count: UnreadCount): void
  /** Too many tasks are watched: this one is subscribed when another one has ended, or is no longer watched. */
  taskWaits(taskId: string): void
  /** Another member has signed in: discard all state. */
  memberChanged(): void
}

/** After a restart of Redis all devices get a `gap` at once: they read the state within this time (PROTOCOL.md §5, Gap). */
const gapSpreadMs = 5_000
/** How long the leading tab has to renew the cookie for another tab. */
const renewalTimeoutMs = 30_000

/** What every session subscribes to. The session's own queues come first: a gap found while the others resume is reported there. */
const commonDestinations = [
  sessionDestination,
  errorDestination,
  readDestination,
  notificationDestination,
  broadcastDestination,
  taskAnnouncementDestination,
]

/**
 * One connection for all tabs. The leading tab holds it and posts what arrives to the others; each tab keeps its own resume points, so
 * any of them can take over.
 *
 * ```text
 * #joined  #leader      this tab
 * false    undefined    is stopped
 * true     undefined    waits for the lock, or for the first `state` message of the leading tab
 * true     another tab  follows: handles what the leading tab posts, posts its requests
 * true     this tab     leads: holds the link, handles requests; #receive also handles its own posts
 * ```
 */
export class SharedConnection {
  readonly state = new Cell<ConnectionState>({ status: 'stopped', leader: false })
  readonly #listener: SharedConnectionListener
  readonly #renewal: SessionRenewal
  readonly #link: Link
  readonly #tabs: TabGroup
  readonly #resumePoints = new ResumePoints()
  readonly #watchers: TaskWatchers
  readonly #listeners: MessageListeners
  readonly #questions: TabQuestions
  readonly #isFocused: () => boolean
  #joined = false
  /** Id of the leading tab. */
  #leader: string | undefined
  #memberId: MemberId | undefined
  /** Of the leading tab: its link's last state. */
  #linkState: LinkState = { status: 'stopped' }

  constructor(
    settings: Settings,
    api: HttpApi,
    renewal: SessionRenewal,
    isFocused: () => boolean,
    listener: SharedConnectionListener,
  ) {
    this.#renewal = renewal
    this.#listener = listener
    this.#isFocused = isFocused
    this.#tabs = new TabGroup(`tidings ${settings.scope} ${settings.url}`, settings.shareConnection)
    this.#link = new Link(settings, api, renewal, {
      member: (memberId) => this.#setMember(memberId),
      subscriptions: () => this.#subscriptions(),
      state: (state) => this.#linkChanged(state),
      message: (message) => this.#broadcast({ type: 'message', ...message }),
      subscribed: (subscribed) => this.#broadcast({ type: 'subscribed', ...subscribed }),
      refused: (destination) => this.#listeners.refused(destination),
    })
    this.#questions = new TabQuestions(this.#tabs.tab, (message) => this.#tabs.post(message))
    this.#watchers = new TaskWatchers(this.#tabs.tab, this.#resumePoints, this.#link, (taskId) =>
      this.#broadcast({ type: 'waits', taskId }),
    )
    this.#listeners = new MessageListeners({
      tab: this.#tabs.tab,
      resumePoints: this.#resumePoints,
      link: this.#link,
      report: (subscribed) => this.#broadcast({ type: 'subscribed', ...subscribed }),
    })
  }

  get leading(): boolean {
    return this.#leader === this.#tabs.tab
  }

  /** The member of the connection; undefined before the first session. */
  get memberId(): MemberId | undefined {
    return this.#memberId
  }

  /** Joins the other tabs. When joined already, makes the leading tab connect again. */
  start(): void {
    if (this.leading) return this.#link.start()
    if (!this.#joined) {
      this.#joined = true
      this.state.set({ status: 'connecting', leader: false })
      this.#tabs.join({ lead: () => this.#lead(), message: (message) => this.#receive(message) })
    }
    // The leading tab replies with its state.
    if (!this.leading) this.#tabs.post({ type: 'start' })
  }

  /** Leaves the other tabs; if this tab leads, another one takes over. Resume points are kept for a later `start`. */
  async stop(): Promise<void> {
    if (!this.#joined) return
    this.#joined = false
    const post = (message: TabMessage) => this.#tabs.post(message)
    this.#watchers.leave(post)
    this.#listeners.leave(post)
    const { leading } = this
    // Before the link stops, so that its `stopped` is not posted to the other tabs: one of them takes the connection over.
    this.#leader = undefined
    const closed = leading ? this.#link.stop() : undefined
    this.#tabs.leave()
    this.state.set({ status: 'stopped', leader: false })
    await closed
  }

  /** See {@link Link.wake}. */
  wake(): void {
    if (this.leading) this.#link.wake()
    else this.#tabs.post({ type: 'wake' })
  }

  /** Replaces the session with one that has the cookie of this moment. */
  reopen(): void {
    if (this.leading) this.#link.reopen()
    else this.#tabs.post({ type: 'reopen' })
  }

  /** Follows a task. `fresh`: nothing is known of it, so a snapshot is needed. */
  watch(taskId: string, fresh: boolean): void {
    this.#watchers.add(taskId)
    this.#sendToLeader({ type: 'watch', tab: this.#tabs.tab, taskId, fresh })
  }

  unwatch(taskId: string): void {
    this.#watchers.remove(taskId)
    this.#sendToLeader({ type: 'unwatch', tab: this.#tabs.tab, taskId })
  }

  /** Listens to a destination of messages from now on. */
  listen(destination: string): void {
    this.#listeners.add(destination)
    this.#sendToLeader(this.#listeners.listenMessage(destination))
  }

  unlisten(destination: string): void {
    this.#listeners.remove(destination)
    this.#sendToLeader({ type: 'unlisten', tab: this.#tabs.tab, destination })
  }

  /** Renews the cookie in the leading tab. Resolves to whether it is fresh. */
  async renew(): Promise<boolean> {
    return this.leading || !this.#joined ? this.#renewal.renewUnlessRecent() : this.ask('renew', renewalTimeoutMs)
  }

  /** Asks the other tabs. Resolves to the first answer, or to false after `timeoutMs`. */
  ask(question: Question, timeoutMs: number): Promise<boolean> {
    return this.#questions.ask(question, timeoutMs)
  }

  /** Posts the unread count that the leading tab has read to the others. */
  shareCount(count: UnreadCount): void {
    this.#tabs.post({ type: 'count', ...count })
  }

  #lead(): void {
    this.#leader = this.#tabs.tab
    this.#watchers.lead()
    this.#listeners.lead()
    this.#link.start()
  }

  *#subscriptions(): Iterable<Subscription> {
    for (const destination of [...commonDestinations, ...this.#watchers.destinations(), ...this.#listeners.destinations()]) {
      yield [destination, this.#resumePoints.lastMessageId(destination)]
    }
  }

  /** Posts to the other tabs, and handles the same message here. */
  #broadcast(message: TabMessage): void {
    this.#tabs.post(message)
    this.#receive(message)
  }

  #linkChanged(state: LinkState): void {
    if (!this.leading) return
    this.#linkState = state
    this.#setState(state)
    this.#postState()
  }

  #postState(): void {
    this.#tabs.post({
      type: 'state',
      tab: this.#tabs.tab,
      state: this.#linkState,
      memberId: this.#memberId,
      places: this.#resumePoints.entries(),
    })
  }

  #setState(state: LinkState): void {
    this.state.set({ ...state, leader: this.leading })
  }

  #sendToLeader(message: TabMessage): void {
    if (this.leading) this.#receive(message)
    else this.#tabs.post(message)
  }

  #receive(message: TabMessage): void {
    switch (message.type) {
      case 'message':
        return this.#message(message)
      case 'subscribed':
        return this.#subscribed(message)
      case 'count':
        return this.#listener.counted(message)
      case 'waits':
        return this.#listener.taskWaits(message.taskId)
      case 'state':
        return this.#follow(message)
      case 'ask':
        return void this.#answer(message)
      case 'answer':
        return this.#questions.answered(message.id, message.answer)
      default:
        return this.leading ? this.#handleRequest(message) : undefined
    }
  }

  #handleRequest(
    message: Extract<TabMessage, { type: 'start' | 'wake' | 'reopen' | 'watch' | 'unwatch' | 'listen' | 'unlisten' }>,
  ): void {
    switch (message.type) {
      case 'start':
        this.#link.start()
        return this.#postState()
      case 'wake':
        return this.#link.wake()
      case 'reopen':
        return this.#link.reopen()
      case 'watch':
        return this.#watchers.watch(message)
      case 'unwatch':
        return this.#watchers.unwatch(message)
      case 'listen':
        return this.#listeners.listen(message)
      case 'unlisten':
        return this.#listeners.unlisten(message)
    }
  }

  /** Takes over the state of the leading tab. */
  #follow({ tab, state, memberId, places: resumePoints }: Extract<TabMessage, { type: 'state' }>): void {
    if (memberId !== undefined) this.#setMember(memberId)
    for (const [destination, lastMessageId] of resumePoints) {
      const before = this.#resumePoints.lastMessageId(destination)
      if (!this.#resumePoints.advance(destination, lastMessageId) || before === undefined) continue
      // The other tabs received messages while this one was stopped. A task needs no read: watching it brings a snapshot.
      if (!destination.startsWith(taskPrefix)) this.#listener.missed(destination, 0)
    }
    const known = this.#leader === tab
    this.#leader = tab
    this.#setState(state)
    if (known) return
    const post = (message: TabMessage) => this.#tabs.post(message)
    this.#watchers.follow(post)
    this.#listeners.follow(post)
  }

  #setMember(memberId: MemberId): void {
    const before = this.#memberId
    this.#memberId = memberId
    if (before === undefined || before === memberId) return
    this.#resumePoints.clear()
    this.#listener.memberChanged()
  }

  #message({ destination, messageId, body: text }: Message): void {
    const value = parse(text)
    const body = typeof value === 'object' && value !== null ? value : undefined
    const isTask = destination.startsWith(taskPrefix)
    // A snapshot replaces everything before it, so its position holds even if it is lower.
    if (isTask && body && 'type' in body && body.type === 'snapshot') this.#resumePoints.set(destination, messageId)
    else if (isTask && !this.#resumePoints.isNext(destination, messageId)) return this.#requestSnapshot(destination)
    else if (!this.#resumePoints.accept(destination, messageId)) return
    if (isTask) this.#watchers.received(destination, body, this.leading)
    if (body || (value !== undefined && this.#listeners.has(destination))) this.#listener.message(destination, value)
  }

  #subscribed({ destination, position, outcome }: Subscribed): void {
    if (destination.startsWith(taskPrefix)) {
      // Without a position it is a gap in a running subscription. Only a lost RECEIPT is followed by a snapshot.
      if (outcome === 'lost' && position === undefined && this.leading) this.#watchers.resubscribe(destination)
      return
    }
    if (outcome === 'refused') {
      this.#listeners.remove(destination)
      return this.#listener.refused(destination)
    }
    const before = this.#resumePoints.lastMessageId(destination)
    if (position) this.#resumePoints.advance(destination, position)
    // Without a position it is a gap in a running subscription.
    const spreadMs = position === undefined ? gapSpreadMs : 0
    if (outcome === 'recovered') return
    // A subscription to messages begins with nothing to read. It is a loss only where this tab had another position.
    const begins = outcome === 'fresh' && (before === undefined || before === position)
    if (commonDestinations.includes(destination) || (this.#listeners.has(destination) && !begins))
      this.#listener.missed(destination, spreadMs)
  }

  /** Called when events of a task are missing. */
  #requestSnapshot(destination: string): void {
    if (this.leading) this.#watchers.resubscribe(destination)
    else this.watch(destination.slice(taskPrefix.length), true)
  }

  async #answer({ question, id }: Extract<TabMessage, { type: 'ask' }>): Promise<void> {
    if (question === 'renew') {
      if (this.leading) this.#tabs.post({ type: 'answer', id, answer: await this.#renewal.renewUnlessRecent() })
      return
    }
    if (this.#isFocused()) this.#tabs.post({ type: 'answer', id, answer: true })
  }
}

/** Returns undefined for text that is not JSON: it comes from a foreign publisher on the channel. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
