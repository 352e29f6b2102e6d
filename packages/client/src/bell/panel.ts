import type { ConnectionState } from '../connection/connection-state.ts'
import type { InboxItem, InboxViewState } from '../inbox/inbox.ts'
import type { PushState } from '../push/push.ts'
import { h, icon, set, setText } from './element.ts'
import { ItemList } from './item-list.ts'
import type { ItemRowHost } from './item-row.ts'
import type { Locale } from './locale.ts'
import { PushRow } from './push-row.ts'
import { type Tab, TabRow } from './tab-row.ts'
import type { BellTexts } from './text.ts'

export interface PanelHost extends ItemRowHost {
  /** Marks this notification and all older ones. */
  readAll(upTo: number): void
  loadMore(): void
  /** Reads the list again after a failure. */
  reload(): void
  select(tab: number): void
  reconnect(): void
  /** Turns web push on or off. */
  switchPush(on: boolean): void
  /** The browser or the user has closed the panel. */
  close(): void
}

export interface PanelState {
  readonly locale: Locale
  readonly tabs: readonly Tab[]
  readonly selected: number
  /** The list of the selected tab. */
  readonly list: InboxViewState
  readonly unreadCount: number
  readonly connection: ConnectionState
  readonly push: PushState
  /** The server has refused the last call. */
  readonly refused: boolean
}

/** The next page is read when the end of the list is this close to the visible part. */
const preloadPixels = 320
const skeletonRows = 4

/** The panel that the bell opens: beside the bell, or a sheet on a phone. */
export class Panel {
  readonly element: HTMLDialogElement
  readonly #host: PanelHost
  readonly #list: ItemList
  readonly #tabs: TabRow
  readonly #title = h('h2', { id: 'title', part: 'title', tabindex: -1 })
  readonly #held = h('button', { type: 'button', part: 'held', class: 'held', onclick: () => this.#showHeld() })
  readonly #readAll = h('button', { type: 'button', part: 'action', class: 'plain', onclick: () => this.#markShown() })
  readonly #close: HTMLButtonElement
  readonly #note = h('span')
  readonly #reconnect = h('button', { type: 'button', part: 'action', onclick: () => this.#host.reconnect() })
  readonly #noteRow = h('div', { part: 'note', class: 'note', role: 'status' }, this.#note, this.#reconnect)
  readonly #refused = h('div', { part: 'note', class: 'note', role: 'alert' })
  readonly #blank = h('div', { part: 'blank', class: 'blank' })
  readonly #end = h('div', { part: 'end', class: 'end' })
  readonly #body: HTMLElement
  readonly #push: PushRow
  #state: PanelState | undefined
  /** What arrives later is held back until the user asks for it, so that no row moves under the pointer. */
  #newestShownId: number | undefined

  constructor(host: PanelHost) {
    this.#host = host
    this.#list = new ItemList(host)
    this.#tabs = new TabRow((tab) => this.#selectTab(tab))
    this.#push = new PushRow((on) => host.switchPush(on))
    this.#close = h('button', { type: 'button', part: 'action', class: 'plain icon', onclick: () => host.close() }, icon('close'))
    this.#body = h(
      'div',
      { id: 'body', role: 'tabpanel', part: 'body', class: 'body', onscroll: () => this.#preload() },
      this.#blank,
      this.#list.element,
      this.#end,
    )
    this.element = h(
      'dialog',
      { part: 'panel', popover: 'manual', 'aria-labelledby': 'title', onclose: () => host.close() },
      h('div', { part: 'header', class: 'header' }, this.#title, this.#readAll, this.#close),
      h('div', { class: 'row' }, this.#tabs.element, h('span', { role: 'status' }, this.#held)),
      this.#noteRow,
      this.#refused,
      this.#body,
      this.#push.element,
      h('slot', { name: 'footer' }),
    )
  }

  /** The newest notification in the list. */
  get newestShownId(): number | undefined {
    return this.#newestShownId
  }

  /** Shows the panel. A modal one is a sheet that covers the page. */
  open(modal: boolean): void {
    this.#newestShownId = undefined
    if (modal) this.element.showModal()
    else this.element.showPopover()
    this.#body.scrollTop = 0
    this.#title.focus()
  }

  close(): void {
    this.element.close()
    if (this.element.matches(':popover-open')) this.element.hidePopover()
  }

  /** Shows a state. The panel must be open: its messages are measured. */
  update(state: PanelState): void {
    this.#state = state
    const { locale, tabs, selected, list, unreadCount, connection, push, refused } = state
    const { texts } = locale
    const hadFocus = this.element.matches(':focus-within')
    const heldCount = this.#hold(list.items)
    const note = noteOf(connection, texts)
    setText(this.#title, texts.title)
    set(this.#close, { 'aria-label': texts.close, title: texts.close })
    setText(this.#readAll, texts.markAllRead)
    set(this.#readAll, { 'aria-disabled': String(unreadCount === 0) })
    this.#held.hidden = heldCount === 0
    setText(this.#held, heldCount > 0 ? texts.held(heldCount) : '')
    this.#noteRow.hidden = note === undefined
    setText(this.#note, note ?? '')
    this.#reconnect.hidden = connection.status !== 'stopped'
    setText(this.#reconnect, texts.reconnect)
    this.#refused.hidden = !refused
    setText(this.#refused, refused ? texts.refused : '')
    this.#tabs.update(tabs, selected, texts.lists)
    this.#body.setAttribute('aria-label', tabs[selected]?.label ?? '')
    this.#showBlank(list, tabs[selected], texts)
    this.#list.update(list.items.slice(heldCount), locale)
    this.#showEnd(list, texts)
    this.#push.update(push, texts)
    if (hadFocus && !this.element.matches(':focus-within')) this.#title.focus()
    this.#preload()
  }

  /** Finds out again which messages do not fit. */
  measure(): void {
    this.#list.measure()
  }

  /** Returns how many of the items are held back. */
  #hold(items: readonly InboxItem[]): number {
    const index = items.findIndex(({ notificationId }) => notificationId === this.#newestShownId)
    // Shown before, but it has gone from the list: nothing is held.
    if (index < 0) this.#newestShownId = items[0]?.notificationId
    return Math.max(index, 0)
  }

  #showHeld(): void {
    this.#newestShownId = undefined
    if (this.#state) this.update(this.#state)
    this.#body.scrollTop = 0
    this.#title.focus()
  }

  #selectTab(tab: number): void {
    this.#newestShownId = undefined
    this.#host.select(tab)
    this.#body.scrollTop = 0
  }

  #markShown(): void {
    if (this.#newestShownId !== undefined && this.#state?.unreadCount) this.#host.readAll(this.#newestShownId)
  }

  #preload(): void {
    const { scrollHeight, scrollTop, clientHeight } = this.#body
    const { hasMore, status } = this.#state?.list ?? {}
    if (hasMore && status === 'ready' && scrollHeight - scrollTop - clientHeight < preloadPixels) this.#host.loadMore()
  }

  /** Shows what is there instead of the list. */
  #showBlank({ items, status }: InboxViewState, tab: Tab | undefined, texts: BellTexts): void {
    const kind = items.length > 0 ? 'none' : status === 'error' ? 'error' : status === 'ready' ? 'empty' : 'loading'
    const title = tab?.filter?.unread ? texts.emptyUnread : tab?.filter?.archived ? texts.emptyArchived : texts.empty
    const hint = tab?.filter ? '' : texts.emptyHint
    const key = `${kind} ${title}`
    this.#blank.hidden = kind === 'none'
    this.#end.hidden = kind !== 'none'
    if (this.#blank.dataset['key'] === key) return
    set(this.#blank, { 'data-key': key, role: kind === 'error' ? 'alert' : kind === 'loading' ? 'status' : undefined })
    if (kind === 'loading') {
      const skeleton = Array.from({ length: skeletonRows }, () => h('i', { class: 'skeleton' }))
      this.#blank.replaceChildren(h('span', { class: 'hidden' }, texts.loading), ...skeleton)
    } else if (kind === 'error') {
      const retry = h('button', { type: 'button', part: 'action', onclick: () => this.#host.reload() }, texts.retry)
      this.#blank.replaceChildren(h('h3', {}, texts.error), h('p', {}, texts.errorHint), retry)
    } else this.#blank.replaceChildren(icon('bell'), h('h3', {}, title), h('p', {}, hint))
  }

  #showEnd({ hasMore, status }: InboxViewState, texts: BellTexts): void {
    const text = status === 'loading' ? texts.loadingMore : status === 'error' ? texts.retry : texts.loadMore
    const [button] = this.#end.children
    if (!hasMore) this.#end.replaceChildren(texts.end)
    else if (button) setText(button, text)
    else
      this.#end.replaceChildren(
        h('button', { type: 'button', part: 'action', class: 'plain', onclick: () => this.#host.loadMore() }, text),
      )
  }
}

function noteOf({ status, reason }: ConnectionState, texts: BellTexts): string | undefined {
  if (status === 'offline' || status === 'reconnecting') return texts.disconnected
  if (status === 'unauthorized' || reason === 'signed-out') return texts.signedOut
  return status === 'stopped' ? texts.stopped : undefined
}
