import type {
  BroadcastMessage,
  InboxPage,
  MemberId,
  MemberUnreadCount,
  NotificationMessage,
  ReadAllResult,
  ReadMessage,
  UnreadCount,
} from '@tidings/protocol'
import { backoffMs } from '../connection/backoff.ts'
import type { ApiResult, HttpApi } from '../http-api.ts'
import type { Settings } from '../options.ts'
import { Cell } from '../store.ts'
import type { TidingsError } from '../tidings-error.ts'
import { Announcements } from './announcements.ts'
import type { Inbox, InboxItem, InboxState } from './inbox.ts'
import {
  addArrival,
  addMark,
  applyCount,
  dropMark,
  emptyInbox,
  find,
  type InboxModel,
  type Mark,
  markAsRead,
  mergeNewest,
  mergeOlder,
  newestId,
  newSince,
  removeItems,
  view,
} from './inbox-model.ts'
import { InboxPages } from './inbox-pages.ts'
import { Recount } from './recount.ts'

/** What the inbox needs from the page around it. */
export interface InboxHost {
  /** Called once for each new notification. */
  announce(item: InboxItem): void
  /** Whether this tab reads the unread count for all tabs. */
  readonly leading: boolean
  /** Passes a count that this tab has read to the other tabs. */
  shareCount(count: UnreadCount): void
  /** The inbox was read: the cookie of the page is that of this member. */
  memberKnown(memberId: MemberId): void
}

/** Longest wait for the connection before the first page is read. Reading after it is established leaves no gap between the two. */
const firstReadDelayMs = 1_000
/** Losses reported within this time are read together. */
const gatherMs = 20
/** Longest time by which the arrival of a notification may follow the HTTP response that contains it, while connected. */
const maxDeliveryLagMs = 5_000

/** A member signed in between two requests of one reading, which is repeated. */
const memberChanged: ApiResult<never> = {
  ok: false,
  status: 0,
  error: { code: 'member-changed', message: 'another member has signed in' },
}

/**
 * The inbox: read over HTTP, kept up to date by messages.
 *
 * ```text
 * #readTimer #reading #readAgainAfterMs  the inbox                leaves this state when
 *     –         –            –           is idle                  start, missed, reset: the timer is set
 *     T         –            –           will read                T fires, or reload()
 *     –         P            –           is being read            P succeeds: idle; P fails: the timer is set, with backoff
 *     –         P            D           is being read, and some  P ends: the timer is set to D, to read what was lost since P
 *                                        more was lost since      began
 * ```
 *
 * From `missed` until the reading that began after it succeeds, `#completeUpTo` is the newest notification before the loss: the pages
 * must reach down to it. Until then, or until a reading fails, arrivals are held back from the application, so that the lost ones,
 * which are older, are announced first.
 */
export class LiveInbox implements Inbox {
  readonly #settings: Pick<Settings, 'reconnectBaseMs' | 'reconnectMaxMs'>
  readonly #api: HttpApi
  readonly #pages: InboxPages
  readonly #host: InboxHost
  readonly #state = new Cell<InboxState>({ items: [], unreadCount: 0, status: 'idle', hasMore: false })
  readonly #announcements: Announcements
  readonly #recount = new Recount(() => void this.#countAgain())
  /** A recount is due, and the leading tab has until the next one to do it for all tabs. */
  #leftToLeader = false
  #model: InboxModel = emptyInbox
  #started = false
  #memberId: MemberId | undefined
  /** Whose inbox `#model` is, once it has been read. Unlike `#memberId`, it is kept from `stop` to `start`. */
  #owner: MemberId | undefined
  /** From `stop` until the same member is there again, the model is kept but not shown: another member may sign in. */
  #hidden = false
  #readTimer: ReturnType<typeof setTimeout> | undefined
  #reading: Promise<boolean> | undefined
  /** Some more was lost since `#reading` began: when to read again after it. */
  #readAgainAfterMs: number | undefined
  #completeUpTo: number | undefined
  #failures = 0
  #connected = false
  /** From then on, the arrival of a notification that the inbox contains is a repeat. */
  #deliveryLagEndsAt = Number.POSITIVE_INFINITY
  #loadingMore: Promise<boolean> | undefined
  #error: TidingsError | undefined
  #readFailed = false
  /** Incremented by `stop` and `reset`, so that the results of earlier requests are discarded. */
  #generation = 0

  constructor(settings: Pick<Settings, 'pageSize' | 'reconnectBaseMs' | 'reconnectMaxMs'>, api: HttpApi, host: InboxHost) {
    this.#settings = settings
    this.#api = api
    this.#pages = new InboxPages(settings, api)
    this.#host = host
    this.#announcements = new Announcements(
      (notificationId) => find(this.#model, notificationId),
      (item) => host.announce(item),
    )
  }

  readonly getSnapshot = (): InboxState => this.#state.getSnapshot()
  readonly subscribe = (listener: (state: InboxState) => void): (() => void) => this.#state.subscribe(listener)

  /** The member whose cookie the page has, according to the last reading since `start`. */
  get memberId(): MemberId | undefined {
    return this.#memberId
  }

  start(): void {
    if (this.#started) return
    this.#started = true
    this.#updateState()
    if (this.#memberId === undefined || this.#announcements.holding) this.#readIn(firstReadDelayMs)
  }

  stop(): void {
    this.#started = false
    this.#memberId = undefined
    this.#discardRequests()
    clearTimeout(this.#readTimer)
    this.#recount.stop()
    this.#hidden = true
    this.#updateState()
  }

  /** Another member has signed in: discards everything, and reads again. */
  reset(): void {
    this.#discardRequests()
    this.#forget()
    this.#error = undefined
    this.#readFailed = false
    this.#updateState()
    if (this.#started) this.#readIn(gatherMs)
  }

  /** The connection is established, for this member. */
  connected(memberId: MemberId | undefined): void {
    this.#connected = true
    if (this.#model.loaded && this.#deliveryLagEndsAt === Number.POSITIVE_INFINITY) this.#limitDeliveryLag()
    if (!this.#started) return
    // This tab has connected with the cookie of the page. A connection of another tab may be that of an earlier member.
    if (this.#hidden && memberId === this.#owner && this.#host.leading) this.#show()
    // The inbox may have been read with the cookie of another member, before the connection was established.
    if (this.#memberId !== undefined && memberId !== undefined && this.#memberId !== memberId) this.reset()
    else if (this.#memberId === undefined || this.#readFailed) this.#readIn(gatherMs)
  }

  /** The connection is lost. What the first page contained may arrive when it is established again. */
  disconnected(): void {
    this.#connected = false
    if (performance.now() <= this.#deliveryLagEndsAt) this.#deliveryLagEndsAt = Number.POSITIVE_INFINITY
  }

  /** Messages may have been lost: reads what they would have brought. */
  missed(spreadMs = 0): void {
    if (!this.#started) return
    if (this.#model.loaded) {
      this.#announcements.hold()
      this.#completeUpTo ??= newestId(this.#model)
    }
    const delayMs = gatherMs + Math.random() * spreadMs
    if (this.#reading) this.#readAgainAfterMs ??= delayMs
    else this.#readIn(delayMs)
  }

  arrived(message: NotificationMessage | BroadcastMessage, broadcast: boolean): void {
    const { notificationId } = message
    const known = find(this.#model, notificationId) !== undefined
    this.#setModel(
      addArrival(this.#model, { ...message, createdAt: new Date().toISOString(), readAt: null, broadcast } as InboxItem),
    )
    // Also when a page contained it: the count may have been read before or after it.
    this.#recount.arrived()
    // The first page announces nothing. A notification that it contained is new if it arrives soon after it, and a repeat if later.
    if (known && performance.now() > this.#deliveryLagEndsAt) return
    this.#announcements.arrived(notificationId)
  }

  wasRead(message: ReadMessage): void {
    const model =
      'removedIds' in message
        ? removeItems(this.#model, message.removedIds)
        : markAsRead(this.#model, message.notificationIds, message.readAt)
    this.#setModel(applyCount(model, message))
    this.#recount.counted()
  }

  /** The leading tab has read the count. */
  counted(unread: UnreadCount): void {
    this.#setModel(applyCount(this.#model, unread, { sameRevision: true }))
    this.#leftToLeader = false
    this.#recount.countedElsewhere()
  }

  readonly reload = (): Promise<boolean> => {
    clearTimeout(this.#readTimer)
    if (this.#reading) this.#readAgainAfterMs = gatherMs
    const generation = this.#generation
    this.#reading ??= this.#readNewest().finally(() => {
      if (generation === this.#generation) this.#reading = undefined
    })
    this.#updateState()
    return this.#reading
  }

  readonly loadMore = (): Promise<boolean> => {
    if (this.#model.cursor === null) return Promise.resolve(true)
    const generation = this.#generation
    this.#loadingMore ??= this.#readOlder(this.#model.cursor).finally(() => {
      if (generation !== this.#generation) return
      this.#loadingMore = undefined
      this.#updateState()
    })
    this.#updateState()
    return this.#loadingMore
  }

  readonly markRead = async (notificationId: number): Promise<boolean> => {
    const item = find(this.getSnapshot(), notificationId)
    if (item && item.readAt !== null) return true
    const mark = { notificationIds: new Set([notificationId]), older: false, readAt: new Date().toISOString() }
    return this.#mark(mark, `/notification/${notificationId}/read`, {})
  }

  readonly markAllRead = async (upTo = newestId(this.#model)): Promise<boolean> => {
    const { items, unreadCount } = this.getSnapshot()
    if (upTo === 0 || unreadCount === 0) return true
    const shown = items.map((item) => item.notificationId).filter((id) => id <= upTo)
    const mark = { notificationIds: new Set(shown), older: true, readAt: new Date().toISOString() }
    return this.#mark(mark, '/notification/read-all', { upTo })
  }

  async #mark(mark: Mark, path: string, body: object): Promise<boolean> {
    const generation = this.#generation
    this.#setModel(addMark(this.#model, mark))
    const result = await this.#api.post<UnreadCount & Partial<ReadAllResult>>(path, body)
    if (generation !== this.#generation) return result.ok
    const model = dropMark(this.#model, mark)
    this.#error = result.ok ? undefined : result.error
    if (!result.ok) {
      // Not stored any more: a broadcast that was removed because of its age, for instance.
      const gone = result.status === 404 && !mark.older
      this.#setModel(gone ? removeItems(model, [...mark.notificationIds]) : model)
      return false
    }
    // The response of read-all names what it has marked, which may be less than what is shown.
    const { notificationIds = [...mark.notificationIds] } = result.body
    this.#setModel(applyCount(markAsRead(model, notificationIds, mark.readAt), result.body, { sameRevision: true }))
    this.#recount.counted()
    return true
  }

  #show(): void {
    this.#hidden = false
    this.#updateState()
  }

  #forget(): void {
    this.#model = emptyInbox
    this.#memberId = undefined
    this.#owner = undefined
    this.#hidden = false
    this.#announcements.clear()
    this.#completeUpTo = undefined
    this.#deliveryLagEndsAt = Number.POSITIVE_INFINITY
  }

  #limitDeliveryLag(): void {
    this.#deliveryLagEndsAt = performance.now() + maxDeliveryLagMs
  }

  #discardRequests(): void {
    this.#generation += 1
    this.#reading = undefined
    this.#loadingMore = undefined
    this.#readAgainAfterMs = undefined
  }

  #readIn(delayMs: number): void {
    clearTimeout(this.#readTimer)
    this.#readTimer = setTimeout(() => void this.reload(), delayMs)
  }

  /** Reads the newest page, further pages down to what is known to be complete, and the unread count. */
  async #readNewest(): Promise<boolean> {
    const generation = this.#generation
    const startedAt = performance.now()
    const completeUpTo = this.#completeUpTo ?? newestId(this.#model)
    const [page, unread] = await Promise.all([
      this.#pages.readDownTo(this.#model.loaded ? completeUpTo : undefined),
      this.#api.get<MemberUnreadCount>('/notification/unread-count'),
    ])
    if (generation !== this.#generation) return false
    const failure = [page, unread].find((result) => !result.ok)
    if (!page.ok || !unread.ok) return this.#failed(failure)
    const { memberId } = page.body
    if (memberId !== unread.body.memberId) return this.#failed(memberChanged)
    if (this.#owner !== undefined && this.#owner !== memberId) this.#forget()
    this.#memberId = memberId
    this.#owner = memberId
    this.#hidden = false
    this.#failures = 0
    this.#error = undefined
    this.#readFailed = false
    const before = this.#model
    this.#model = applyCount(mergeNewest(before, page.body, completeUpTo), unread.body, { sameRevision: true })
    if (!before.loaded && this.#connected) this.#limitDeliveryLag()
    this.#recount.recounted(startedAt)
    this.#reading = undefined
    this.#updateState()
    this.#host.memberKnown(memberId)
    this.#announcements.release([...(before.loaded ? newSince(before, page.body) : []), ...this.#newerThanFirst(page.body)])
    if (this.#readAgainAfterMs !== undefined) {
      // More was lost while this was being read: continue to hold arrivals, and keep `#completeUpTo`.
      this.#announcements.hold()
      this.#readIn(this.#readAgainAfterMs)
    } else this.#completeUpTo = undefined
    this.#readAgainAfterMs = undefined
    return true
  }

  /**
   * Returns the ids on the page that are newer than the first one announced. They are new even on the first page: each was lost, or is
   * still to arrive, since delivery began before it.
   */
  #newerThanFirst({ items }: InboxPage): number[] {
    const { first = Number.POSITIVE_INFINITY } = this.#announcements
    return items.map(({ notificationId }) => notificationId).filter((id) => id > first)
  }

  async #readOlder(cursor: number): Promise<boolean> {
    const generation = this.#generation
    const result = await this.#pages.read(cursor)
    if (generation !== this.#generation) return false
    if (!result.ok) {
      this.#error = result.error
      this.#readFailed = true
      return false
    }
    if (result.body.memberId !== this.#memberId) return this.reload()
    this.#error = undefined
    this.#readFailed = false
    // If a newest page has replaced the items in the meantime, this page no longer follows them and would leave a gap.
    if (this.#model.cursor === cursor) this.#model = mergeOlder(this.#model, result.body)
    return true
  }

  async #countAgain(): Promise<void> {
    // The leading tab counts for all tabs. It may have had no reason to, or be gone: then this tab counts at the next turn.
    if (!this.#host.leading && !this.#leftToLeader) {
      this.#leftToLeader = true
      return this.#recount.postpone()
    }
    this.#leftToLeader = false
    const generation = this.#generation
    const startedAt = performance.now()
    const result = await this.#api.get<MemberUnreadCount>('/notification/unread-count')
    if (generation !== this.#generation || !result.ok) return
    if (result.body.memberId !== this.#memberId) return void this.reload()
    this.#setModel(applyCount(this.#model, result.body, { sameRevision: true }))
    if (this.#host.leading) this.#host.shareCount(result.body)
    this.#recount.recounted(startedAt)
  }

  #failed(result: ApiResult<unknown> | undefined): boolean {
    if (!result || result.ok) return false
    this.#error = result.error
    this.#readFailed = true
    this.#reading = undefined
    this.#updateState()
    this.#announcements.release()
    // After a 401, `connected` reads again when the connection is established.
    if (this.#started && result.status !== 401) this.#readIn(gatherMs + backoffMs(this.#failures++, this.#settings))
    return false
  }

  #setModel(model: InboxModel): void {
    if (model === this.#model) return
    this.#model = model
    this.#updateState()
  }

  #updateState(): void {
    const { loaded } = this.#model
    const waits = (!loaded || this.#hidden) && (this.#started || this.#reading !== undefined)
    const busy = this.#loadingMore !== undefined || waits
    const status = this.#readFailed ? 'error' : busy ? 'loading' : loaded && !this.#hidden ? 'ready' : 'idle'
    this.#state.set({
      ...view(this.#hidden ? emptyInbox : this.#model),
      status,
      ...(this.#error !== undefined && { error: this.#error }),
    })
  }
}
