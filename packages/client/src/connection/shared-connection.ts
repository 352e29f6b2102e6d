import {
  broadcastDestination,
  errorDestination,
  notificationDestination,
  readDestination,
  sessionDestination,
} from '@tidings/protocol/destination'
import type { UnreadCount } from '@tidings/protocol'
import type { HttpApi } from '../http-api.ts'
import type { Settings } from '../options.ts'
import { Cell } from '../store.ts'
import { Questions } from '../tab/questions.ts'
import { TabGroup } from '../tab/tab-group.ts'
import type { Question, TabMessage } from '../tab/tab-message.ts'
import type { ConnectionState } from './connection-state.ts'
import { Link, type LinkState } from './link.ts'
import { Places } from './places.ts'
import type { Renewal } from './renewal.ts'
import type { Message, Subscribed } from './stomp-session.ts'
import { Watchers } from './watchers.ts'

export interface ConnectionListener {
  /** A message that was not here before. */
  message(destination: string, body: unknown): void
  /** There may have been messages that will not come: the state is to be read over HTTP. */
  missed(destination: string): void
  /** The leading tab has counted. */
  counted(count: UnreadCount): void
  /** Somebody else has signed in: nothing that is known holds. */
  memberChanged(): void
}

export const taskAnnouncementDestination = '/member/queue/task'
export const taskPrefix = `${taskAnnouncementDestination}.`

/** The leading tab has this long to renew the cookie for another one. */
const renewalMs = 30_000

// The session's own queues first: a gap that is found while the others resume is told there.
const always = [
  sessionDestination,
  errorDestination,
  readDestination,
  notificationDestination,
  broadcastDestination,
  taskAnnouncementDestination,
]

/** One connection for all tabs: the leading tab holds it and posts what arrives; every tab keeps its own place in it. */
export class SharedConnection {
  readonly state = new Cell<ConnectionState>({ status: 'stopped', leader: false })
  readonly #listener: ConnectionListener
  readonly #renewal: Renewal
  readonly #link: Link
  readonly #tabs: TabGroup
  readonly #places = new Places()
  readonly #watchers: Watchers
  readonly #questions: Questions
  /** Answers a question of another tab; undefined: has nothing to say. */
  readonly #respond: (question: Question) => boolean | undefined
  #joined = false
  #leader: string | undefined
  #memberId: number | undefined
  #linkState: LinkState = { status: 'stopped' }

  constructor(
    settings: Settings,
    api: HttpApi,
    renewal: Renewal,
    respond: (question: Question) => boolean | undefined,
    listener: ConnectionListener,
  ) {
    this.#renewal = renewal
    this.#listener = listener
    this.#respond = respond
    this.#tabs = new TabGroup(`tidings ${settings.scope} ${settings.url}`, settings.shareConnection)
    this.#link = new Link(settings, api, renewal, {
      member: (memberId) => this.#member(memberId),
      wanted: () => this.#wanted(),
      state: (state) => this.#told(state),
      message: (message) => this.#share({ type: 'message', ...message }),
      subscribed: (subscribed) => this.#share({ type: 'subscribed', ...subscribed }),
    })
    this.#questions = new Questions(this.#tabs.tab, (message) => this.#tabs.post(message))
    this.#watchers = new Watchers(this.#tabs.tab, this.#places, this.#link)
  }

  get leading(): boolean {
    return this.#leader === this.#tabs.tab
  }

  get memberId(): number | undefined {
    return this.#memberId
  }

  /** Joins the other tabs, or makes the leading one connect again. */
  start(): void {
    if (this.leading) return this.#link.start()
    if (!this.#joined) {
      this.#joined = true
      this.state.set({ status: 'connecting', leader: false })
      this.#tabs.join({ lead: () => this.#lead(), message: (message) => this.#receive(message) })
    }
    // The leading tab answers with its state.
    if (!this.leading) this.#tabs.post({ type: 'start' })
  }

  /** Leaves: the next tab leads. What is known of places is kept, for coming back. */
  async stop(): Promise<void> {
    if (!this.#joined) return
    this.#joined = false
    this.#watchers.leave((message) => this.#tabs.post(message))
    const { leading } = this
    // First, so that the others are not told of an end that is only ours.
    this.#leader = undefined
    const ended = leading ? this.#link.stop() : undefined
    this.#tabs.leave()
    this.state.set({ status: 'stopped', leader: false })
    await ended
  }

  wake(): void {
    if (this.leading) this.#link.wake()
    else this.#tabs.post({ type: 'wake' })
  }

  /** Connects anew with the cookie as it is now. */
  reopen(): void {
    if (this.leading) this.#link.reopen()
    else this.#tabs.post({ type: 'reopen' })
  }

  watch(taskId: string, fresh: boolean): void {
    this.#watchers.want(taskId)
    this.#request({ type: 'watch', tab: this.#tabs.tab, taskId, fresh })
  }

  unwatch(taskId: string): void {
    this.#watchers.unwant(taskId)
    this.#request({ type: 'unwatch', tab: this.#tabs.tab, taskId })
  }

  /** Renews the cookie, in the leading tab. */
  async renew(): Promise<boolean> {
    return this.leading || !this.#joined ? this.#renewal.renewUnlessJustDone() : this.ask('renew', renewalMs)
  }

  /** Asks the other tabs; false when nobody answers in time. */
  ask(question: Question, withinMs: number): Promise<boolean> {
    return this.#questions.ask(question, withinMs)
  }

  /** Hands what the leading tab counted to all others. */
  shareCount(count: UnreadCount): void {
    this.#tabs.post({ type: 'count', ...count })
  }

  #lead(): void {
    this.#leader = this.#tabs.tab
    this.#watchers.lead()
    this.#link.start()
  }

  *#wanted(): Iterable<readonly [string, string | undefined]> {
    for (const destination of [...always, ...this.#watchers.destinations()]) {
      yield [destination, this.#places.lastMessageId(destination)]
    }
  }

  /** The leading tab hears what it tells the others. */
  #share(message: TabMessage): void {
    this.#tabs.post(message)
    this.#receive(message)
  }

  #told(state: LinkState): void {
    if (!this.leading) return
    this.#linkState = state
    this.#show(state)
    this.#tellState()
  }

  #tellState(): void {
    const { tab } = this.#tabs
    this.#tabs.post({
      type: 'state',
      tab,
      state: this.#linkState,
      memberId: this.#memberId,
      places: this.#places.entries(),
    })
  }

  #show(state: LinkState): void {
    this.state.set({ ...state, leader: this.leading })
  }

  #request(message: TabMessage): void {
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
      case 'state':
        return this.#follow(message)
      case 'ask':
        return void this.#answer(message)
      case 'answer':
        return this.#questions.answered(message.id, message.answer)
      default:
        return this.leading ? this.#serve(message) : undefined
    }
  }

  #serve(message: Extract<TabMessage, { type: 'start' | 'wake' | 'reopen' | 'watch' | 'unwatch' }>): void {
    switch (message.type) {
      case 'start':
        this.#link.start()
        return this.#tellState()
      case 'wake':
        return this.#link.wake()
      case 'reopen':
        return this.#link.reopen()
      case 'watch':
        return this.#watchers.watch(message)
      case 'unwatch':
        return this.#watchers.unwatch(message)
    }
  }

  #follow({ tab, state, memberId, places }: Extract<TabMessage, { type: 'state' }>): void {
    if (memberId !== undefined) this.#member(memberId)
    for (const [destination, lastMessageId] of places) {
      const before = this.#places.lastMessageId(destination)
      if (!this.#places.advance(destination, lastMessageId) || before === undefined) continue
      // What the others were told while this tab was stopped. A task comes with a snapshot.
      if (!destination.startsWith(taskPrefix)) this.#listener.missed(destination)
    }
    const known = this.#leader === tab
    this.#leader = tab
    this.#show(state)
    if (!known) this.#watchers.follow((message) => this.#tabs.post(message))
  }

  #member(memberId: number): void {
    const before = this.#memberId
    this.#memberId = memberId
    if (before === undefined || before === memberId) return
    this.#places.clear()
    this.#listener.memberChanged()
  }

  #message({ destination, messageId, body: text }: Message): void {
    const body = parse(text)
    const isTask = destination.startsWith(taskPrefix)
    // A snapshot replaces what came before it, wherever that had got to.
    if (isTask && (body as { type?: unknown } | undefined)?.type === 'snapshot') this.#places.set(destination, messageId)
    else if (isTask && !this.#places.isNext(destination, messageId)) return this.#watchAnew(destination)
    else if (!this.#places.take(destination, messageId)) return
    if (isTask) this.#watchers.saw(destination, body, this.leading)
    if (body !== undefined) this.#listener.message(destination, body)
  }

  #subscribed({ destination, position, outcome }: Subscribed): void {
    if (destination.startsWith(taskPrefix)) {
      // A RECEIPT that says so is followed by a snapshot; a gap is not.
      if (outcome === 'lost' && position === undefined && this.leading) this.#watchers.renew(destination)
      return
    }
    if (position) this.#places.advance(destination, position)
    if (outcome !== 'recovered' && always.includes(destination)) this.#listener.missed(destination)
  }

  /** Something is missing between what is known of a task and what came. */
  #watchAnew(destination: string): void {
    if (this.leading) this.#watchers.renew(destination)
    else this.watch(destination.slice(taskPrefix.length), true)
  }

  async #answer({ question, id }: Extract<TabMessage, { type: 'ask' }>): Promise<void> {
    if (question === 'renew') {
      if (this.leading) this.#tabs.post({ type: 'answer', id, answer: await this.#renewal.renewUnlessJustDone() })
      return
    }
    if (this.#respond(question)) this.#tabs.post({ type: 'answer', id, answer: true })
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // by somebody who publishes other things on the channel
  }
}
