import type { InboxItem } from '../inbox/inbox.ts'
import { h, icon, set, setText } from './element.ts'
import { exactTime, type Locale, relativeTime } from './locale.ts'

/** What the buttons of a notification do. */
export type ItemAction = 'read' | 'unread' | 'archive' | 'unarchive' | 'remove'

export interface ItemRowHost {
  /** The notification was clicked. */
  open(item: InboxItem, event: MouseEvent): void
  act(action: ItemAction, item: InboxItem): void
}

const actions: readonly ItemAction[] = ['read', 'unread', 'archive', 'unarchive', 'remove']

/** In the labels of buttons. */
const maxLabelLength = 80

/** One notification in the panel. */
export class ItemRow {
  readonly element: HTMLLIElement
  /** The link, or the button when the notification has no path. It is focused by the arrow keys. */
  readonly link: HTMLAnchorElement
  readonly #unread = h('span', { class: 'hidden' })
  readonly #message = h('span', { part: 'message', class: 'message', dir: 'auto' })
  readonly #time = h('time', { part: 'time', dir: 'auto' })
  readonly #note = h('span')
  readonly #more = h('button', { type: 'button', part: 'action', class: 'plain', onclick: () => this.#toggle() })
  readonly #buttons: ReadonlyMap<ItemAction, HTMLButtonElement>
  #item: InboxItem
  #locale: Locale | undefined
  #expanded = false

  constructor(item: InboxItem, host: ItemRowHost) {
    this.#item = item
    this.link = h(
      'a',
      { part: 'link', class: 'link', onclick: (event: MouseEvent) => host.open(this.#item, event) },
      this.#unread,
      this.#message,
    )
    const act = (action: ItemAction) => () => host.act(action, this.#item)
    this.#buttons = new Map(
      actions.map((action) => [
        action,
        h('button', { type: 'button', part: 'action', class: 'plain icon', onclick: act(action) }, icon(action)),
      ]),
    )
    const meta = h('span', { part: 'meta', class: 'meta' }, this.#time, this.#note)
    this.element = h('li', {}, this.link, h('div', { class: 'foot' }, meta, h('span', {}, this.#more, ...this.#buttons.values())))
  }

  update(item: InboxItem, locale: Locale): void {
    if (item === this.#item && locale === this.#locale) return
    this.#item = item
    this.#locale = locale
    const { texts } = locale
    const unread = item.readAt === null
    const time = new Date(item.createdAt)
    const label = item.message.slice(0, maxLabelLength)
    set(this.element, { part: unread ? 'item item-unread' : 'item', class: unread ? 'item unread' : 'item' })
    set(this.link, { href: item.redirectPath, role: item.redirectPath === undefined && 'button' })
    setText(this.#unread, unread ? `${texts.unread}: ` : '')
    setText(this.#message, item.message)
    setText(this.#time, relativeTime(time, locale))
    set(this.#time, { datetime: item.createdAt, title: exactTime(time, locale) })
    const notes = [item.broadcast && texts.toEveryone, item.count > 1 && texts.times(item.count)]
    setText(this.#note, notes.map((note) => (note ? ` · ${note}` : '')).join(''))
    const names: Readonly<Record<ItemAction, string | false>> = {
      read: unread && texts.markRead,
      unread: !unread && texts.markUnread,
      archive: !item.archived && texts.archive,
      unarchive: item.archived && texts.unarchive,
      remove: texts.remove,
    }
    for (const [action, button] of this.#buttons) {
      const name = names[action]
      set(button, { hidden: name === false, title: name, 'aria-label': name && `${name}: ${label}` })
    }
    this.#showMore()
  }

  /** Whether the message has more lines than are shown. */
  get clamped(): boolean {
    return this.#message.scrollHeight > this.#message.clientHeight + 1
  }

  /** Shows or hides the button that shows the whole message. */
  set expandable(expandable: boolean) {
    this.#more.hidden = !expandable && !this.#expanded
  }

  /** Whether the Tab key reaches the controls of the row. */
  set reachable(reachable: boolean) {
    for (const control of [this.link, this.#more, ...this.#buttons.values()]) control.tabIndex = reachable ? 0 : -1
  }

  #toggle(): void {
    this.#expanded = !this.#expanded
    this.#showMore()
  }

  #showMore(): void {
    const { texts } = this.#locale ?? {}
    set(this.#message, { class: this.#expanded ? 'message' : 'message clamped' })
    set(this.#more, { 'aria-expanded': String(this.#expanded) })
    if (texts) setText(this.#more, this.#expanded ? texts.less : texts.more)
  }
}
