import type { InboxPage } from '@tidings/protocol'
import type { ApiResult } from '../http-api.ts'
import { Cell } from '../store.ts'
import type { TidingsError } from '../tidings-error.ts'
import type { Change, Entry } from './change.ts'
import type { InboxFilter, InboxView, InboxViewState } from './inbox.ts'
import {
  addEntry,
  applyChange,
  emptyList,
  find,
  type ItemList,
  matches,
  mergeNewest,
  mergeOlder,
  type Pending,
  reaches,
  shownItems,
} from './item-list.ts'

/** What a view needs from the inbox. */
export interface ViewHost {
  read(before: number | null, filter: InboxFilter): Promise<ApiResult<InboxPage>>
  /** The items of a page, with what has changed since. */
  entriesOf(page: InboxPage): Entry[]
  readonly pending: readonly Pending[]
  /** Nothing is shown: another member may sign in. */
  readonly hidden: boolean
  /** The first listener has subscribed. */
  opened(view: LiveView): void
  /** The last listener has unsubscribed. */
  closed(view: LiveView): void
}

/** A part of the inbox: read over HTTP while it is subscribed to, kept up to date by the messages that the inbox receives. */
export class LiveView implements InboxView {
  readonly filter: InboxFilter
  readonly #host: ViewHost
  readonly #state = new Cell<InboxViewState>({ items: [], status: 'idle', hasMore: false })
  #list: ItemList
  #listeners = 0
  #reading: Promise<boolean> | undefined
  #error: TidingsError | undefined
  /** Incremented when what is being read is of no use any more. */
  #generation = 0

  constructor(filter: InboxFilter, host: ViewHost) {
    this.filter = filter
    this.#host = host
    this.#list = emptyList(filter)
  }

  readonly getSnapshot = (): InboxViewState => this.#state.getSnapshot()

  readonly subscribe = (listener: (value: InboxViewState) => void): (() => void) => {
    const unsubscribe = this.#state.subscribe(listener)
    this.#listeners += 1
    if (this.#listeners === 1) this.#host.opened(this)
    let subscribed = true
    return () => {
      if (!subscribed) return
      subscribed = false
      unsubscribe()
      this.#listeners -= 1
      if (this.#listeners === 0) this.#host.closed(this)
    }
  }

  readonly loadMore = (): Promise<boolean> => {
    const { loaded, cursor } = this.#list
    if (!loaded) return this.reload()
    return cursor === null ? Promise.resolve(true) : this.#read(cursor)
  }

  /** Reads the newest page again. */
  reload(): Promise<boolean> {
    this.#discardReading()
    return this.#read(null)
  }

  /** Another member has signed in. */
  reset(): void {
    this.#discardReading()
    this.#list = emptyList(this.filter)
    this.#error = undefined
    this.refresh()
  }

  find(notificationId: number): Entry | undefined {
    return find(this.#list, notificationId)
  }

  /** The times at which items of this view expire. */
  get entries(): readonly Entry[] {
    return this.#list.entries
  }

  apply(change: Change): void {
    this.#list = applyChange(this.#list, change)
    this.refresh()
  }

  /** Whether the view may have to show this notification, and does not know it. */
  lacks(notificationId: number): boolean {
    return reaches(this.#list, notificationId) && !this.find(notificationId)
  }

  /** Adds a notification if it belongs here. */
  offer(entry: Entry): void {
    if (!matches(this.filter, entry.item) || !this.lacks(entry.item.notificationId)) return
    this.#list = addEntry(this.#list, entry)
    this.refresh()
  }

  /** Shows the current items, also after a change of what is pending. */
  refresh(): void {
    const status = this.#error !== undefined ? 'error' : this.#reading ? 'loading' : this.#list.loaded ? 'ready' : 'idle'
    this.#state.set({
      items: this.#host.hidden ? [] : shownItems(this.#list, this.#host.pending),
      status,
      hasMore: this.#list.cursor !== null,
      ...(this.#error !== undefined && { error: this.#error }),
    })
  }

  #discardReading(): void {
    this.#generation += 1
    this.#reading = undefined
  }

  #read(before: number | null): Promise<boolean> {
    const generation = this.#generation
    this.#reading ??= this.#readPage(before).finally(() => {
      if (generation !== this.#generation) return
      this.#reading = undefined
      this.refresh()
    })
    this.refresh()
    return this.#reading
  }

  async #readPage(before: number | null): Promise<boolean> {
    const generation = this.#generation
    const knownBefore = new Set(this.#list.entries.map(({ item }) => item.notificationId))
    const result = await this.#host.read(before, this.filter)
    if (generation !== this.#generation) return false
    this.#error = result.ok ? undefined : result.error
    if (!result.ok) return false
    const page = this.#host.entriesOf(result.body)
    const { nextCursor, revision } = result.body
    if (before === null) {
      // Older items may have changed in the meantime: they are dropped, and can be loaded again.
      this.#list = mergeNewest(this.#list, page, nextCursor, { completeUpTo: -1, knownBefore, revision })
    } else if (this.#list.cursor === before) this.#list = mergeOlder(this.#list, page, nextCursor)
    return true
  }
}
