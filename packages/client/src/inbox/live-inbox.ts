import type { BroadcastMessage, InboxPage, NotificationMessage, ReadMessage, UnreadCount } from '@tidings/protocol'
import { backoffMs } from '../connection/backoff.ts'
import type { Answer, HttpApi } from '../http-api.ts'
import type { Settings } from '../options.ts'
import { Cell } from '../store.ts'
import type { Inbox, InboxItem, InboxState } from './inbox.ts'
import {
  addMark,
  arrive,
  count,
  dropMark,
  emptyInbox,
  has,
  type InboxModel,
  type Mark,
  markAsRead,
  newestId,
  mergeNewest,
  mergeOlder,
  newSince,
  view,
} from './inbox-model.ts'
import { InboxPages } from './inbox-pages.ts'
import { Recount } from './recount.ts'
import { Seen } from './seen.ts'

export interface InboxOwner {
  /** To be called for each notification that came live, once. */
  announce(item: InboxItem): void
  /** Whether this tab counts for all, and how it tells them. */
  readonly leading: boolean
  shareCount(count: UnreadCount): void
  /** Told of each page: for whom it is. */
  pageOf(memberId: number): void
}

/** The first page is read when the connection stands, so that nothing falls in between; not later than this. */
const patienceMs = 1_000
/** What was missed together is read together. */
const gatherMs = 20
/** What was read over HTTP as it was being delivered arrives within this. */
const crossingMs = 5_000

/** The inbox: read over HTTP, kept up to date by what arrives. */
export class LiveInbox implements Inbox {
  readonly #settings: Pick<Settings, 'reconnectBaseMs' | 'reconnectMaxMs'>
  readonly #api: HttpApi
  readonly #pages: InboxPages
  readonly #owner: InboxOwner
  readonly #cell = new Cell<InboxState>({ items: [], unreadCount: 0, status: 'idle', hasMore: false })
  readonly #seen = new Seen()
  readonly #recount = new Recount(() => void this.#countAgain())
  /** The leading tab was left the time to count for this one. */
  #waited = false
  #model: InboxModel = emptyInbox
  #started = false
  #timer: ReturnType<typeof setTimeout> | undefined
  #reading: Promise<boolean> | undefined
  /** Something was missed after the reading began. */
  #again = false
  /** Ids of what arrived while that which was missed before it is being read: announced after it, so that the order stays. */
  #held: number[] | undefined
  /** Up to which notification nothing was missed; what arrives after a loss does not count. */
  #whole: number | undefined
  #failures = 0
  #loadedAt = 0
  #loadingMore: Promise<boolean> | undefined
  #error: string | undefined
  #readFailed = false
  /** Another one after each reset, so that answers for somebody else are dropped. */
  #life = 0

  constructor(settings: Pick<Settings, 'pageSize' | 'reconnectBaseMs' | 'reconnectMaxMs'>, api: HttpApi, owner: InboxOwner) {
    this.#settings = settings
    this.#api = api
    this.#pages = new InboxPages(settings, api)
    this.#owner = owner
  }

  readonly getSnapshot = (): InboxState => this.#cell.getSnapshot()
  readonly subscribe = (listener: () => void): (() => void) => this.#cell.subscribe(listener)

  start(): void {
    if (this.#started) return
    this.#started = true
    this.#show()
    if (!this.#model.loaded || this.#held) this.#readIn(patienceMs)
  }

  stop(): void {
    this.#started = false
    this.#forgetAnswers()
    clearTimeout(this.#timer)
    this.#recount.stop()
  }

  /** Somebody else has signed in. */
  reset(): void {
    this.#forgetAnswers()
    this.#model = emptyInbox
    this.#seen.clear()
    this.#held = undefined
    this.#whole = undefined
    this.#error = undefined
    this.#readFailed = false
    this.#show()
    if (this.#started) this.#readIn(gatherMs)
  }

  /** `memberId`: for whom the connection is. */
  connected(memberId: number | undefined): void {
    if (!this.#started) return
    // What was read before that was known may be somebody else's. The next page tells whose the cookie is now.
    const foreign = ({ memberId: its }: InboxItem) => its !== undefined && memberId !== undefined && its !== memberId
    if (this.#model.items.some(foreign)) this.reset()
    else if (!this.#model.loaded || this.#readFailed) this.#readIn(gatherMs)
  }

  /** There may be notifications, or changes, that will not arrive. */
  missed(): void {
    if (!this.#started) return
    if (this.#model.loaded) {
      this.#held ??= []
      this.#whole ??= newestId(this.#model)
    }
    if (this.#reading) this.#again = true
    else this.#readIn(gatherMs)
  }

  arrived(message: NotificationMessage | BroadcastMessage, broadcast: boolean): void {
    const { notificationId } = message
    const known = has(this.#model, notificationId)
    this.#change(arrive(this.#model, { ...message, createdAt: new Date().toISOString(), readAt: null, broadcast } as InboxItem))
    // Also of one that a page has brought: it may be in the count, or not.
    this.#recount.arrived()
    // One that a page has brought already is new all the same, unless it was there long before: then it is a repeat.
    if (known && performance.now() - this.#loadedAt > crossingMs) return
    if (this.#held) this.#held.push(notificationId)
    else this.#announce([notificationId])
  }

  wasRead(message: ReadMessage): void {
    this.#change(count(markAsRead(this.#model, message), message))
    this.#recount.counted()
  }

  /** The leading tab has asked. */
  counted(unread: UnreadCount): void {
    this.#change(count(this.#model, unread, { sameRevision: true }))
    this.#waited = false
    this.#recount.countedElsewhere()
  }

  readonly reload = (): Promise<boolean> => {
    clearTimeout(this.#timer)
    if (this.#reading) this.#again = true
    const life = this.#life
    this.#reading ??= this.#readNewest().finally(() => {
      if (life === this.#life) this.#reading = undefined
    })
    this.#show()
    return this.#reading
  }

  readonly loadMore = (): Promise<boolean> => {
    if (this.#model.cursor === null) return Promise.resolve(true)
    const life = this.#life
    this.#loadingMore ??= this.#readOlder(this.#model.cursor).finally(() => {
      if (life !== this.#life) return
      this.#loadingMore = undefined
      this.#show()
    })
    this.#show()
    return this.#loadingMore
  }

  readonly markRead = async (notificationId: number): Promise<boolean> => {
    const item = this.getSnapshot().items.find((each) => each.notificationId === notificationId)
    if (item && item.readAt !== null) return true
    return this.#mark({ notificationId, readAt: new Date().toISOString() }, `/notification/${notificationId}/read`, {})
  }

  readonly markAllRead = async (): Promise<boolean> => {
    if (!this.#model.loaded && !(await this.reload())) return false
    const upTo = this.#model.items[0]?.notificationId
    if (upTo === undefined || this.getSnapshot().unreadCount === 0) return true
    return this.#mark({ upTo, readAt: new Date().toISOString() }, '/notification/read-all', { upTo })
  }

  async #mark(mark: Mark, path: string, body: object): Promise<boolean> {
    const life = this.#life
    this.#change(addMark(this.#model, mark))
    const answer = await this.#api.post<UnreadCount>(path, body)
    if (life !== this.#life) return answer.ok
    const model = dropMark(this.#model, mark)
    this.#error = answer.ok ? undefined : answer.detail
    this.#change(answer.ok ? count(markAsRead(model, mark), answer.body, { sameRevision: true }) : model)
    if (answer.ok) this.#recount.counted()
    return answer.ok
  }

  /** What was asked for is of no use any more. */
  #forgetAnswers(): void {
    this.#life += 1
    this.#reading = undefined
    this.#loadingMore = undefined
    this.#again = false
  }

  #readIn(delayMs: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.reload(), delayMs)
  }

  /** The newest page, and further ones until they reach what is known; and the count. */
  async #readNewest(): Promise<boolean> {
    const life = this.#life
    const askedAt = performance.now()
    const whole = this.#whole ?? newestId(this.#model)
    const [page, unread] = await Promise.all([
      this.#pages.readDownTo(this.#model.loaded ? whole : undefined),
      this.#api.get<UnreadCount>('/notification/unread-count'),
    ])
    if (life !== this.#life) return false
    const refused = [page, unread].find((answer) => !answer.ok)
    if (!page.ok || !unread.ok) return this.#failed(refused)
    this.#failures = 0
    this.#error = undefined
    this.#readFailed = false
    const before = this.#model
    this.#model = count(mergeNewest(before, page.body, whole), unread.body, { sameRevision: true })
    if (!before.loaded) this.#loadedAt = performance.now()
    this.#recount.recounted(askedAt)
    this.#reading = undefined
    this.#show()
    for (const { memberId } of page.body.items) if (memberId !== undefined) this.#owner.pageOf(memberId)
    const late = before.loaded ? newSince(before, page.body) : []
    this.#announce([...(this.#held ?? []), ...late, ...this.#overtaken(page.body)].toSorted((a, b) => a - b))
    this.#held = this.#again ? [] : undefined
    if (!this.#again) this.#whole = undefined
    if (this.#again) this.#readIn(gatherMs)
    this.#again = false
    return true
  }

  /** Newer than what has arrived already, and so new whether it was lost on its way or is still to come: the first page may bring it. */
  #overtaken({ items }: InboxPage): number[] {
    const { first = Number.POSITIVE_INFINITY } = this.#seen
    return items.map(({ notificationId }) => notificationId).filter((id) => id > first)
  }

  async #readOlder(cursor: number): Promise<boolean> {
    const life = this.#life
    const answer = await this.#pages.read(cursor)
    if (life !== this.#life) return false
    if (!answer.ok) {
      this.#error = answer.detail
      this.#readFailed = true
      return false
    }
    this.#error = undefined
    this.#readFailed = false
    // Another page has replaced what this one follows on: then it would leave a hole.
    if (this.#model.cursor === cursor) this.#model = mergeOlder(this.#model, answer.body)
    return true
  }

  async #countAgain(): Promise<void> {
    // The leading tab asks for all of them, unless it had no reason to, or has gone meanwhile.
    if (!this.#owner.leading && !this.#waited) {
      this.#waited = true
      return this.#recount.putOff()
    }
    this.#waited = false
    const life = this.#life
    const askedAt = performance.now()
    const answer = await this.#api.get<UnreadCount>('/notification/unread-count')
    if (life !== this.#life || !answer.ok) return
    this.#change(count(this.#model, answer.body, { sameRevision: true }))
    if (this.#owner.leading) this.#owner.shareCount(answer.body)
    this.#recount.recounted(askedAt)
  }

  #failed(answer: Answer<unknown> | undefined): boolean {
    if (!answer || answer.ok) return false
    this.#error = answer.detail
    this.#readFailed = true
    this.#reading = undefined
    this.#show()
    this.#announce(this.#held ?? [])
    this.#held = undefined
    // Who is not let in is let in again when the connection stands.
    if (this.#started && answer.status !== 401) this.#readIn(gatherMs + backoffMs(this.#failures++, this.#settings))
    return false
  }

  #announce(notificationIds: readonly number[]): void {
    for (const notificationId of notificationIds) {
      const item = this.#model.items.find((each) => each.notificationId === notificationId)
      if (item && this.#seen.add(notificationId)) this.#owner.announce(item)
    }
  }

  #change(model: InboxModel): void {
    if (model === this.#model) return
    this.#model = model
    this.#show()
  }

  #show(): void {
    const busy = this.#loadingMore !== undefined || (!this.#model.loaded && (this.#started || this.#reading !== undefined))
    const status = this.#readFailed ? 'error' : busy ? 'loading' : this.#model.loaded ? 'ready' : 'idle'
    this.#cell.set({ ...view(this.#model), status, ...(this.#error !== undefined && { error: this.#error }) })
  }
}
