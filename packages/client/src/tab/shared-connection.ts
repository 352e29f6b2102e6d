import {
  broadcastDestination,
  errorDestination,
  notificationDestination,
  readDestination,
  receivedDestination,
  sessionDestination,
} from '@tidings/protocol/destination'
import type { MemberId, UnreadCount } from '@tidings/protocol'
import type { ConnectionState, StopReason } from '../connection/connection-state.ts'
import { Link, type LinkState } from '../connection/link.ts'
import { ReceivedReports } from '../connection/received-reports.ts'
import { ResumePoints } from '../connection/resume-points.ts'
import type { SessionRenewal } from '../connection/session-renewal.ts'
import type { Message, Subscribed, Subscription } from '../connection/stomp-session.ts'
import type { HttpApi } from '../http-api.ts'
import type { Settings } from '../options.ts'
import { Cell } from '../store.ts'
import { LeaderWatch } from './leader-watch.ts'
import { MessageListeners } from './message-listeners.ts'
import { TabGroup } from './tab-group.ts'
import { type Question, type TabMessage, tabMessageVersion } from './tab-message.ts'
import { TabQuestions } from './tab-questions.ts'
import { taskAnnouncementDestination, taskPrefix } from './task-destination.ts'
import { TaskWatchers } from './task-watchers.ts'

export interface SharedConnectionListener {
  /** A message arrived. Repeats are dropped before. The body is not checked: it is undefined if it is not JSON. */
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
  /** The member signs out: discard all state, and handle nothing more until the next start. */
  signedOut(): void
  /** Has the server end the session. Resolves to whether it has. */
  endSession(): Promise<boolean>
}

export interface SharedConnectionDeps {
  readonly settings: Settings
  readonly api: HttpApi
  readonly renewal: SessionRenewal
  readonly page: TabPage
  /** Logs one line for developers. */
  readonly log: (line: string) => void
}

/** What is known of the page of this tab. */
export interface TabPage {
  isVisible(): boolean
  /** Whether it is visible and has the keyboard focus. */
  isFocused(): boolean
}

/** After a restart of Redis all devices get a `gap` at once: they read the state within this time (PROTOCOL.md §5, Gap). */
const gapSpreadMs = 5_000
/** What only a leading tab posts, apart from what names it. */
const fromLeader: ReadonlySet<TabMessage['type']> = new Set(['message', 'subscribed', 'count', 'waits'])
/** How long the leading tab has to renew the cookie for another tab. */
const renewalTimeoutMs = 30_000
/** How long the leading tab has to end the session for another tab. */
const signOutTimeoutMs = 30_000

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
 * true     another tab  follows: handles what the leading tab posts, posts its requests, replaces it when it no longer replies
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
  readonly #reports: ReceivedReports
  readonly #page: TabPage
  readonly #log: (line: string) => void
  readonly #watch: LeaderWatch
  #joined = false
  /** The session is being ended: that the gateway closes it is no news. */
  #signingOut = false
  /** Id of the leading tab. */
  #leader: string | undefined
  #memberId: MemberId | undefined
  /** Last state of the link of the leading tab. */
  #linkState: LinkState = { status: 'stopped' }

  constructor({ settings, api, renewal, page, log }: SharedConnectionDeps, listener: SharedConnectionListener) {
    this.#renewal = renewal
    this.#log = log
    this.#listener = listener
    this.#page = page
    this.#tabs = new TabGroup(`tidings ${tabMessageVersion} ${settings.scope} ${settings.url}`, settings.shareConnection)
    this.#link = new Link(
      { settings, api, renewal, log },
      {
        member: (memberId) => {
          // Before anything of a new member is posted.
          if (this.#setMember(memberId)) this.#postState()
        },
        subscriptions: () => this.#subscriptions(),
        state: (state) => this.#linkChanged(state),
        message: (message) => this.#broadcast({ type: 'message', ...message }),
        subscribed: (subscribed) => this.#broadcast({ type: 'subscribed', ...subscribed }),
        refused: (destination) => this.#reports.refused(destination) || this.#listeners.refused(destination),
      },
    )
    this.#reports = new ReceivedReports((notificationIds, handled) =>
      this.#link.send(receivedDestination, { notificationIds }, handled),
    )
    this.#watch = new LeaderWatch({
      // Without a call of `start()`, nothing is attempted in these states.
      watching: () => page.isVisible() && !isAtRest(this.state.getSnapshot()),
      ask: () => this.#tabs.post({ type: 'check', leader: this.#leader }),
      doubt: (doubted) => this.#doubt(doubted),
      replace: () => this.#tabs.takeLead(),
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
      this.#watch.start()
      this.#tabs.join({
        lead: () => this.#lead(),
        replaced: () => this.#replaced(),
        message: (message) => this.#receive(message),
      })
    }
    if (this.leading) return
    if (isAtRest(this.state.getSnapshot())) this.state.set({ status: 'connecting', leader: false })
    // The leading tab replies with its state.
    this.#tabs.post({ type: 'start' })
  }

  /** Signs out in all tabs, which stop. Resolves to whether the server has ended the session. */
  async signOut(): Promise<boolean> {
    const asked = this.leading || !this.#joined ? undefined : this.ask('signOut', signOutTimeoutMs)
    if (this.leading) void this.ask('signOut', 0)
    this.#signingOut = true
    this.#listener.signedOut()
    const ended = await (asked ?? this.#listener.endSession())
    await this.#stopSignedOut()
    return ended
  }

  async #stopSignedOut(): Promise<void> {
    this.#signingOut = false
    await this.stop('signed-out')
    this.#resumePoints.clear()
    this.#reports.clear()
    this.#memberId = undefined
  }

  /** Leaves the other tabs; if this tab leads, another one takes over. Resume points are kept for a later `start`. */
  async stop(reason?: StopReason): Promise<void> {
    if (!this.#joined) return
    this.#joined = false
    this.#watch.stop()
    const post = (message: TabMessage) => this.#tabs.post(message)
    this.#watchers.leave(post)
    this.#listeners.leave(post)
    const { leading } = this
    // Before the link stops, so that its `stopped` is not posted to the other tabs: one of them takes the connection over.
    this.#leader = undefined
    const closed = leading ? this.#link.stop() : undefined
    this.#tabs.leave()
    this.state.set({ status: 'stopped', ...(reason && { reason }), leader: false })
    await closed
  }

  /** See {@link Link.wake}. */
  wake(): void {
    if (this.leading) return this.#link.wake()
    this.#watch.check()
    this.#tabs.post({ type: 'wake' })
  }

  /** See {@link Link.beatWithTimer}. */
  beatWithTimer(): void {
    this.#link.beatWithTimer()
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

  /** Reports to the server that these notifications of the member have arrived in this browser. The leading tab does so for all tabs. */
  received(notificationIds: readonly number[]): void {
    if (notificationIds.length > 0) this.#sendToLeader({ type: 'received', notificationIds })
  }

  #lead(): void {
    this.#watch.stop()
    this.#leader = this.#tabs.tab
    this.#watchers.lead()
    this.#listeners.lead()
    this.#link.start()
  }

  /** Follows the tab that has taken the lead. It resumes where this one ended, so that nothing more is expected from this link. */
  #replaced(): void {
    this.#leader = undefined
    void this.#link.stop()
    this.#watchers.replaced()
    this.#listeners.replaced()
    this.state.set({ status: 'reconnecting', leader: false })
    this.#watch.start()
    this.#tabs.post({ type: 'check', leader: undefined })
  }

  #doubt(doubted: boolean): void {
    if (!doubted) return this.#leader === undefined ? undefined : this.#setState(this.#linkState)
    if (this.state.getSnapshot().status === 'connected') this.state.set({ status: 'reconnecting', leader: false })
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
    if (!this.leading || this.#signingOut) return
    // What the previous session has not confirmed is sent again.
    this.#reports.connected = state.status === 'connected'
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
    this.#log(`${this.leading ? 'leads' : 'follows'}: ${JSON.stringify(state)}`)
    this.state.set({ ...state, leader: this.leading })
  }

  #sendToLeader(message: TabMessage): void {
    if (this.leading) this.#receive(message)
    else this.#tabs.post(message)
  }

  #receive(message: TabMessage): void {
    if (!this.leading && fromLeader.has(message.type)) this.#watch.heard()
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
      case 'leads':
        return message.tab === this.#leader ? this.#watch.heard() : undefined
      case 'ask':
        return void this.#answer(message)
      case 'answer':
        return this.#questions.answered(message.id, message.answer)
      default:
        return this.leading ? this.#handleRequest(message) : undefined
    }
  }

  #handleRequest(
    message: Extract<
      TabMessage,
      { type: 'check' | 'start' | 'wake' | 'reopen' | 'received' | 'watch' | 'unwatch' | 'listen' | 'unlisten' }
    >,
  ): void {
    switch (message.type) {
      case 'check':
        return message.leader === this.#tabs.tab ? this.#tabs.post({ type: 'leads', tab: this.#tabs.tab }) : this.#postState()
      case 'start':
        this.#link.start()
        return this.#postState()
      case 'wake':
        return this.#link.wake()
      case 'reopen':
        return this.#link.reopen()
      case 'received':
        return this.#reports.add(message.notificationIds)
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
    // It has not noticed yet that this tab has taken the lead.
    if (this.leading) return
    this.#linkState = state
    this.#watch.heard()
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

  /** Returns whether another member has signed in. */
  #setMember(memberId: MemberId): boolean {
    const before = this.#memberId
    this.#memberId = memberId
    if (before === undefined || before === memberId) return false
    this.#resumePoints.clear()
    this.#reports.clear()
    this.#listener.memberChanged()
    return true
  }

  #message({ destination, messageId, body: text }: Message): void {
    const body = parse(text)
    const isTask = destination.startsWith(taskPrefix)
    // A snapshot replaces everything before it, so its position holds even if it is lower.
    if (isTask && typeOf(body) === 'snapshot') this.#resumePoints.set(destination, messageId)
    else if (isTask && !this.#resumePoints.isNext(destination, messageId)) return this.#requestSnapshot(destination)
    else if (!this.#resumePoints.accept(destination, messageId)) return
    if (destination === errorDestination) this.#reports.failed(body)
    if (isTask && this.leading && typeOf(body) === 'finished') this.#watchers.finished(destination)
    this.#listener.message(destination, body)
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
    if (question === 'signOut') {
      this.#signingOut = true
      this.#listener.signedOut()
      if (this.leading) this.#tabs.post({ type: 'answer', id, answer: await this.#listener.endSession() })
      return this.#stopSignedOut()
    }
    if (this.#page.isFocused()) this.#tabs.post({ type: 'answer', id, answer: true })
  }
}

/** Returns whether the link does nothing until `start()` is called. */
function isAtRest({ status }: ConnectionState): boolean {
  return status === 'stopped' || status === 'unauthorized'
}

function typeOf(body: unknown): unknown {
  return (body as { type?: unknown } | null | undefined)?.type
}

/** Returns undefined for text that is not JSON: it comes from a foreign publisher on the channel. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
