import type {
  BroadcastMessage,
  BroadcastRemoval,
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
import { Cell, type Store } from '../store.ts'
import type { TidingsError } from '../tidings-error.ts'
import { Announcements } from './announcements.ts'
import { type Change, ChangeLog, changeOf, type Effect, type Entry } from './change.ts'
import type { Inbox, InboxFilter, InboxItem, InboxState, InboxView, KindCount } from './inbox.ts'
import { addArrival, addPending, addToCounts, applyCount, dropPending, emptyInbox, type InboxModel, view } from './inbox-model.ts'
import { InboxPages } from './inbox-pages.ts'
import {
  addEntry,
  applyChange,
  entriesOf,
  find,
  type ItemList,
  mergeNewest,
  mergeOlder,
  newestId,
  type Pending,
  reaches,
  withPending,
} from './item-list.ts'
import { KindCounts } from './kind-counts.ts'
import { LiveView } from './live-view.ts'
import { Recount } from './recount.ts'

/** What the inbox needs from the page around it. */
export interface InboxHost {
  /** Called once for each new notification. */
  announce(item: InboxItem): void
  /** Whether this tab reads the unread count for all tabs. */
  readonly leading: boolean
  /** Passes a count that this tab has read to the other tabs. */
  shareCount(count: UnreadCount): void
  /** These notifications of the member have arrived here, and are neither read nor seen. `live`: at all tabs at the same time. */
  received(notificationIds: readonly number[], live: boolean): void
  /** The inbox was read: the cookie of the page is that of this member. */
  memberKnown(memberId: MemberId): void
}

/** Longest wait for the connection before the first page is read. Reading after it is established leaves no gap between the two. */
const firstReadDelayMs = 1_000
/** Losses reported within this time are read together. */
const gatherMs = 20
/** Longest time by which the arrival of a notification may follow the HTTP response that contains it, while connected. */
const maxDeliveryLagMs = 5_000

/**
 * Longest random wait before the count is read because a broadcast went that this tab does not know: it concerns all members at once.
 */
const removalSpreadMs = 30_000
/** Longest delay of a timer. */
const maxTimerMs = 2_147_483_647

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
  readonly #state = new Cell<InboxState>({ items: [], unreadCount: 0, unseenCount: 0, status: 'idle', hasMore: false })
  readonly #announcements: Announcements
  readonly #recount = new Recount(() => void this.#countAgain())
  /** A recount is due, and the leading tab has until the next one to do it for all tabs. */
  #leftToLeader = false
  #model: InboxModel = emptyInbox
  readonly #log = new ChangeLog()
  readonly #views = new Set<LiveView>()
  readonly #kindCounts = new Set<KindCounts>()
  #expiryTimer: ReturnType<typeof setTimeout> | undefined
  #removalTimer: ReturnType<typeof setTimeout> | undefined
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
  /** Each known notification may have changed: all are to be read again, or dropped. */
  #statesAreLost = false
  /** Views and counts of kinds are to be read again with the inbox. */
  #partsAreLost = false
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
      (notificationId) => find(this.#model.list, notificationId)?.item,
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
    this.#reloadParts()
  }

  stop(): void {
    this.#started = false
    this.#memberId = undefined
    this.#discardRequests()
    clearTimeout(this.#readTimer)
    clearTimeout(this.#expiryTimer)
    clearTimeout(this.#removalTimer)
    for (const counts of this.#kindCounts) counts.reset()
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
    for (const each of [...this.#views, ...this.#kindCounts]) each.reset()
    this.#updateState()
    if (!this.#started) return
    this.#readIn(gatherMs)
    this.#reloadParts()
  }

  /** The connection is established, for this member. */
  connected(memberId: MemberId | undefined): void {
    this.#connected = true
    if (this.#model.list.loaded && this.#deliveryLagEndsAt === Number.POSITIVE_INFINITY) this.#limitDeliveryLag()
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

  /** Messages may have been lost: reads what they would have brought. `states`: they may have changed any notification. */
  missed(spreadMs = 0, { states = false } = {}): void {
    if (!this.#started) return
    if (this.#model.list.loaded) {
      this.#announcements.hold()
      this.#completeUpTo ??= newestId(this.#model.list)
    }
    const delayMs = gatherMs + Math.random() * spreadMs
    this.#partsAreLost = true
    if (states) this.#statesAreLost = true
    if (this.#reading) this.#readAgainAfterMs ??= delayMs
    else this.#readIn(delayMs)
  }

  arrived(message: NotificationMessage | BroadcastMessage, broadcast: boolean): void {
    const { notificationId } = message
    const known = find(this.#model.list, notificationId) !== undefined
    const { replacedId, count = 1 } = message as Partial<NotificationMessage>
    if (replacedId !== undefined) this.#replaced(replacedId, known)
    const unread = { createdAt: new Date().toISOString(), readAt: null, seen: false, archived: false }
    const entry = this.#log.applyTo({
      item: { ...message, ...unread, count, broadcast } as InboxItem,
      readRevision: 0,
      archivedRevision: 0,
    })
    if (entry) {
      this.#host.received(unreceived([entry]), true)
      this.#setModel(addArrival(this.#model, entry))
      for (const each of this.#views) each.offer(entry)
    }
    this.#kindsChanged()
    // Also when a page contained it: the count may have been read before or after it.
    this.#recount.arrived()
    // The first page announces nothing. A notification that it contained is new if it arrives soon after it, and a repeat if later.
    if (known && performance.now() > this.#deliveryLagEndsAt) return
    this.#announcements.arrived(notificationId)
  }

  wasRead(message: ReadMessage): void {
    this.#change(changeOf(message), message)
    this.#recount.counted()
  }

  /** Broadcasts are gone for all members: recalled, or expired. */
  removed({ removedIds }: BroadcastRemoval): void {
    const unknown = removedIds.filter((id) => !this.#find(id) && !this.#log.removed(id))
    this.#removeHere(removedIds)
    this.#recount.arrived()
    if (unknown.length === 0 || !this.#started) return
    clearTimeout(this.#removalTimer)
    this.#removalTimer = setTimeout(() => void this.#countAgain(), Math.random() * removalSpreadMs)
  }

  /** The leading tab has read the count. */
  counted(unread: UnreadCount): void {
    this.#setModel(applyCount(this.#model, unread, { sameRevision: true }))
    this.#leftToLeader = false
    this.#recount.countedElsewhere()
  }

  /** What a tab reports that leads from now on: the last leading tab may not have done so. */
  get unreceivedIds(): number[] {
    return unreceived(this.#model.list.entries)
  }

  /**
   * Returns whether the member has read or archived a notification, or it is gone. The server is asked for one that is not known here, if `ask` is
   * set.
   */
  async isOver(notificationId: number, ask: boolean): Promise<boolean> {
    const known = this.#find(notificationId)
    const unknown = { notificationId, readAt: null, archived: false } as InboxItem
    const entry = this.#log.applyTo(known ?? { item: unknown, readRevision: 0, archivedRevision: 0 })
    const item = entry && withPending(entry.item, this.#model.pending)
    if (!item || item.readAt !== null || item.archived) return true
    if (known || !ask || this.#memberId === undefined) return false
    const page = await this.#pages.readOne(notificationId, false)
    if (!page.ok || page.body.memberId !== this.#memberId) return false
    const [stored] = page.body.items
    return stored?.notificationId !== notificationId || stored.readAt !== null
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
    if (this.#model.list.cursor === null) return Promise.resolve(true)
    const generation = this.#generation
    this.#loadingMore ??= this.#readOlder(this.#model.list.cursor).finally(() => {
      if (generation !== this.#generation) return
      this.#loadingMore = undefined
      this.#updateState()
    })
    this.#updateState()
    return this.#loadingMore
  }

  readonly markRead = async (notificationId: number): Promise<boolean> => {
    const item = this.#find(notificationId)?.item
    if (item && item.readAt !== null) return true
    return this.#changeOne(notificationId, 'read', { readAt: new Date().toISOString(), seen: true })
  }

  readonly markUnread = (notificationId: number): Promise<boolean> =>
    this.#changeOne(notificationId, 'unread', { readAt: null, seen: true })

  readonly archive = (notificationId: number): Promise<boolean> => this.#changeOne(notificationId, 'archive', { archived: true })

  readonly unarchive = (notificationId: number): Promise<boolean> =>
    this.#changeOne(notificationId, 'unarchive', { archived: false })

  readonly remove = (notificationId: number): Promise<boolean> =>
    this.#send({ notificationIds: new Set([notificationId]), effect: { removed: true } }, () =>
      this.#api.delete(`/notification/${notificationId}`),
    )

  readonly markSeen = async (upTo = this.#newestShown()): Promise<boolean> => {
    const { items, unseenCount } = this.getSnapshot()
    if (upTo === 0 || unseenCount === 0) return true
    const notificationIds = idsOf(items.filter((item) => item.notificationId <= upTo && !item.seen))
    return this.#send({ notificationIds, effect: { seen: true }, older: 'seen' }, () =>
      this.#api.post('/notification/seen', { upTo }),
    )
  }

  readonly markAllRead = async (upTo = this.#newestShown(), kind?: string): Promise<boolean> => {
    const { items, unreadCount } = this.getSnapshot()
    if (upTo === 0 || unreadCount === 0) return true
    const marked = (item: InboxItem) =>
      item.notificationId <= upTo && item.readAt === null && (kind === undefined || item.kind === kind)
    const inViews = [...this.#views].flatMap(({ getSnapshot }) => getSnapshot().items.filter(({ archived }) => !archived))
    const pending: Pending = {
      notificationIds: idsOf([...items, ...inViews].filter(marked)),
      effect: { readAt: new Date().toISOString(), seen: true },
      ...(kind === undefined && { older: 'read' }),
    }
    return this.#send(pending, () => this.#api.post('/notification/read-all', { upTo, ...(kind !== undefined && { kind }) }))
  }

  readonly view = (filter: InboxFilter): InboxView => {
    const { kind, unread, archived } = filter
    // In this order, and without what is absent: equal filters are equal texts.
    const own = { ...(kind !== undefined && { kind }), ...(unread && { unread }), ...(archived && { archived }) }
    const open = [...this.#views].find((each) => JSON.stringify(each.filter) === JSON.stringify(own))
    if (open) return open
    const pending = () => this.#model.pending
    const hidden = () => this.#hidden
    return new LiveView(own, {
      read: (before, filterOfView) => this.#pages.read(before, filterOfView),
      entriesOf: (page) => this.#entriesOf(page),
      get pending() {
        return pending()
      },
      get hidden() {
        return hidden()
      },
      opened: (opened) => {
        this.#views.add(opened)
        if (this.#started) void opened.reload()
      },
      closed: (closed) => void this.#views.delete(closed),
    })
  }

  readonly countsByKind = (kinds: readonly string[]): Store<Readonly<Record<string, KindCount>>> => {
    const open = [...this.#kindCounts].find((each) => each.kinds.join() === kinds.join())
    if (open) return open
    return new KindCounts([...kinds], this.#api, {
      onOpen: (opened) => {
        this.#kindCounts.add(opened)
        if (this.#started) opened.changed()
      },
      onClose: (closed) => void this.#kindCounts.delete(closed),
    })
  }

  #changeOne(notificationId: number, name: string, effect: Effect): Promise<boolean> {
    return this.#send({ notificationIds: new Set([notificationId]), effect }, () =>
      this.#api.post(`/notification/${notificationId}/${name}`),
    )
  }

  /** Shows a change at once, sends it, and keeps it if the server accepts it. */
  async #send(pending: Pending, request: () => Promise<ApiResult<UnreadCount & Partial<ReadAllResult>>>): Promise<boolean> {
    const generation = this.#generation
    this.#setModel(addPending(this.#model, pending))
    const result = await request()
    if (generation !== this.#generation) return result.ok
    this.#model = dropPending(this.#model, pending)
    this.#error = result.ok ? undefined : result.error
    if (!result.ok) {
      // Not stored any more: it was recalled, for instance.
      if (result.status === 404 && !pending.older) this.#removeHere([...pending.notificationIds])
      this.#updateState()
      return false
    }
    // The response of a mark of many names what it has marked, which may be less than what is shown.
    const { notificationIds = [...pending.notificationIds], revision } = result.body
    this.#change({ ...pending.effect, notificationIds, revision }, result.body, { sameRevision: true })
    this.#recount.counted()
    return true
  }

  /** Applies a change that the server has accepted, and the counts that came with it. */
  #change(change: Change, counts: UnreadCount, options?: { sameRevision: boolean }): void {
    this.#log.add(change)
    const model = { ...this.#model, list: applyChange(this.#model.list, change) }
    this.#model = applyCount(model, counts, options)
    for (const each of this.#views) each.apply(change)
    this.#updateState()
    for (const notificationId of change.notificationIds) this.#findForLists(notificationId, change)
    this.#kindsChanged()
  }

  /** Has lists that lack a notification show it after it came out of the archive, or became unread. */
  #findForLists(notificationId: number, { archived, readAt }: Change): void {
    if (archived === undefined && readAt !== null) return
    const list = [this.#main, ...this.#views].find((each) => {
      const { filter } = each
      const concerns = archived === undefined ? filter.unread === true : archived === (filter.archived === true)
      return concerns && each.lacks(notificationId)
    })
    if (!list) return
    const known = this.#find(notificationId)
    if (known) this.#offer(known)
    else void this.#readOne(notificationId, archived ?? list.filter.archived === true)
  }

  async #readOne(notificationId: number, archived: boolean): Promise<void> {
    const generation = this.#generation
    const result = await this.#pages.readOne(notificationId, archived)
    if (generation !== this.#generation || !result.ok) return
    for (const entry of this.#entriesOf(result.body)) if (entry.item.notificationId === notificationId) this.#offer(entry)
  }

  #offer(entry: Entry): void {
    this.#main.offer(entry)
    for (const each of this.#views) each.offer(entry)
  }

  /** The list of the inbox itself, as one of the views. */
  get #main(): Pick<LiveView, 'filter' | 'lacks' | 'offer'> {
    const { list } = this.#model
    const lacks = (notificationId: number) => reaches(list, notificationId) && !find(list, notificationId)
    return {
      filter: list.filter,
      lacks,
      offer: (entry) => {
        const { notificationId, archived } = entry.item
        if (!archived && lacks(notificationId)) this.#setList(addEntry(this.#model.list, entry))
      },
    }
  }

  /** A notification was replaced by one that has arrived. It was unread until then. */
  #replaced(replacedId: number, counted: boolean): void {
    const replaced = this.#find(replacedId)
    const removed = this.#log.removed(replacedId)
    this.#drop([replacedId])
    if (counted || removed) return
    if (replaced) return this.#setModel(addToCounts(this.#model, replaced.item, -1))
    // Whether it was seen is not known.
    this.#setModel({ ...this.#model, unreadCount: Math.max(0, this.#model.unreadCount - 1) })
    this.#recount.counted()
  }

  /** Removes notifications that are no longer stored, and no longer counts them. */
  #removeHere(notificationIds: readonly number[]): void {
    const entries = notificationIds.flatMap((notificationId) => this.#find(notificationId) ?? [])
    this.#drop(notificationIds)
    this.#setModel(entries.reduce((model, { item }) => addToCounts(model, item, -1), this.#model))
    this.#kindsChanged()
  }

  #drop(notificationIds: readonly number[]): void {
    const change: Change = { notificationIds, revision: 0, removed: true }
    this.#log.add(change)
    // From all lists before the state is updated, which looks for what has expired.
    for (const each of this.#views) each.apply(change)
    this.#setModel({ ...this.#model, list: applyChange(this.#model.list, change) })
  }

  /** Returns a notification that is in any list. */
  #find(notificationId: number): Entry | undefined {
    const lists = [this.#model.list, ...this.#views]
    for (const list of lists) {
      const entry = find(list, notificationId)
      if (entry) return entry
    }
    return undefined
  }

  #newestShown(): number {
    return this.getSnapshot().items[0]?.notificationId ?? 0
  }

  #entriesOf(page: InboxPage): Entry[] {
    const entries = entriesOf(page).flatMap((entry) => this.#log.applyTo(entry) ?? [])
    this.#host.received(unreceived(entries), false)
    return entries
  }

  #setList(list: ItemList): void {
    this.#setModel({ ...this.#model, list })
  }

  #kindsChanged(): void {
    if (this.#started) for (const counts of this.#kindCounts) counts.changed()
  }

  #reloadParts(): void {
    for (const each of this.#views) void each.reload()
    this.#kindsChanged()
  }

  /** Removes what expires, at the time. The server reports its own removal of personal notifications soon after. */
  #expire(): void {
    clearTimeout(this.#expiryTimer)
    const now = Date.now()
    const all = [...this.#model.list.entries, ...[...this.#views].flatMap(({ entries }) => entries)]
    const times = new Map(
      all.flatMap(({ item: { notificationId, expiresAt } }) =>
        expiresAt === undefined ? [] : [[notificationId, Date.parse(expiresAt)] as const],
      ),
    )
    // A program other than notify-api may publish any text.
    for (const [notificationId, time] of times) if (Number.isNaN(time)) times.delete(notificationId)
    const expired = [...times].filter(([, time]) => time <= now).map(([notificationId]) => notificationId)
    if (expired.length > 0) return this.removed({ removedIds: expired })
    const next = Math.min(...times.values())
    if (!this.#started || !Number.isFinite(next)) return
    this.#expiryTimer = setTimeout(() => this.#expire(), Math.min(next - now, maxTimerMs))
  }

  #show(): void {
    this.#hidden = false
    this.#updateState()
  }

  #forget(): void {
    this.#model = emptyInbox
    this.#log.clear()
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
    const oldest = this.#statesAreLost ? this.#model.list.entries.at(-1)?.item.notificationId : undefined
    this.#statesAreLost = false
    const completeUpTo = oldest ?? this.#completeUpTo ?? newestId(this.#model.list)
    const knownBefore = new Set(this.#model.list.entries.map(({ item }) => item.notificationId))
    const [page, unread] = await Promise.all([
      this.#pages.readDownTo(this.#model.list.loaded ? completeUpTo : undefined),
      this.#api.get<MemberUnreadCount>('/notification/unread-count'),
    ])
    if (generation !== this.#generation) return false
    const failure = [page, unread].find((result) => !result.ok)
    if (failure && oldest !== undefined) this.#statesAreLost = true
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
    const list = mergeNewest(before.list, this.#entriesOf(page.body), page.body.nextCursor, {
      completeUpTo,
      knownBefore,
      revision: page.body.revision,
    })
    this.#model = applyCount({ ...before, list }, unread.body, { sameRevision: true })
    if (!before.list.loaded && this.#connected) this.#limitDeliveryLag()
    this.#recount.recounted(startedAt)
    this.#reading = undefined
    this.#updateState()
    this.#host.memberKnown(memberId)
    if (this.#partsAreLost) {
      this.#partsAreLost = false
      this.#reloadParts()
    }
    this.#announcements.release([
      ...(before.list.loaded ? newSince(before.list, page.body) : []),
      ...this.#newerThanFirst(page.body),
    ])
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
    if (this.#model.list.cursor === cursor) {
      this.#setList(mergeOlder(this.#model.list, this.#entriesOf(result.body), result.body.nextCursor))
    }
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
    const { list } = this.#model
    const waits = (!list.loaded || this.#hidden) && (this.#started || this.#reading !== undefined)
    const busy = this.#loadingMore !== undefined || waits
    const status = this.#readFailed ? 'error' : busy ? 'loading' : list.loaded && !this.#hidden ? 'ready' : 'idle'
    const shown = this.#hidden ? view(emptyInbox) : view(this.#model, (notificationId) => this.#find(notificationId))
    this.#state.set({ ...shown, status, ...(this.#error !== undefined && { error: this.#error }) })
    for (const each of this.#views) each.refresh()
    this.#expire()
  }
}

/** Returns the ids of the member's own notifications that no device is known to have seen. */
function unreceived(entries: readonly Entry[]): number[] {
  return entries.flatMap(({ item: { notificationId, broadcast, readAt, seen } }) =>
    broadcast || readAt !== null || seen ? [] : notificationId,
  )
}

function idsOf(items: readonly InboxItem[]): Set<number> {
  return new Set(items.map(({ notificationId }) => notificationId))
}

/** Returns the ids, oldest first, that are on the page and not in the list, down to where the entries of the list end. */
function newSince({ entries, cursor }: ItemList, page: InboxPage): number[] {
  const known = new Set(entries.map(({ item }) => item.notificationId))
  const floor = cursor ?? 0
  return page.items
    .map(({ notificationId }) => notificationId)
    .filter((id) => !known.has(id) && id > floor)
    .toReversed()
}
