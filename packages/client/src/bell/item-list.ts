import type { InboxItem } from '../inbox/inbox.ts'
import { h } from './element.ts'
import { ItemRow, type ItemRowHost } from './item-row.ts'
import type { Locale } from './locale.ts'

/** The notifications in the panel. The Tab key reaches one of them, and the arrow keys reach the others. */
export class ItemList {
  readonly element = h('ul', {
    role: 'list',
    part: 'list',
    onkeydown: (event: KeyboardEvent) => this.#move(event),
    onfocusin: (event: FocusEvent) => this.#reach(event.target),
  })
  readonly #host: ItemRowHost
  /** In the order of the list, by id. */
  #rows = new Map<number, ItemRow>()
  #reachable: ItemRow | undefined

  constructor(host: ItemRowHost) {
    this.#host = host
  }

  update(items: readonly InboxItem[], locale: Locale): void {
    const focusedIndex = [...this.#rows.values()].findIndex(({ element }) => element.matches(':focus-within'))
    const rows = new Map(
      items.map((item) => [item.notificationId, this.#rows.get(item.notificationId) ?? new ItemRow(item, this.#host)]),
    )
    for (const [id, row] of this.#rows) if (!rows.has(id)) row.element.remove()
    const added = [...rows].filter(([id]) => !this.#rows.has(id)).map(([, row]) => row)
    this.#rows = rows
    let next = this.element.firstElementChild
    for (const item of items) {
      const row = rows.get(item.notificationId)
      if (!row) continue
      row.update(item, locale)
      if (row.element === next) next = next.nextElementSibling
      else this.element.insertBefore(row.element, next)
    }
    this.#measure(added)
    this.#reachRow(this.#reachable && this.element.contains(this.#reachable.element) ? this.#reachable : this.#at(0))
    // The focus was in a row that has gone.
    if (focusedIndex >= 0 && !this.element.matches(':focus-within')) (this.#at(focusedIndex) ?? this.#at(-1))?.link.focus()
  }

  /** Finds out again which messages do not fit, for instance after the width has changed. */
  measure(): void {
    this.#measure([...this.#rows.values()])
  }

  #measure(rows: readonly ItemRow[]): void {
    // All are read before any is changed, so that the panel is laid out once.
    const clamped = rows.map((row) => row.clamped)
    for (const [at, row] of rows.entries()) row.expandable = clamped[at] === true
  }

  #at(index: number): ItemRow | undefined {
    return [...this.#rows.values()].at(index)
  }

  #reach(target: EventTarget | null): void {
    this.#reachRow([...this.#rows.values()].find(({ element }) => element.contains(target as Node)))
  }

  #reachRow(row: ItemRow | undefined): void {
    this.#reachable = row
    for (const each of this.#rows.values()) each.reachable = each === row
  }

  #move(event: KeyboardEvent): void {
    const { target } = event
    // One without a path is no link for the browser.
    if (event.key === 'Enter' && target instanceof HTMLAnchorElement && !target.href) return target.click()
    const rows = [...this.#rows.values()]
    const at = rows.findIndex((row) => row === this.#reachable)
    const index = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key]
    const row = index === undefined ? undefined : rows[index]
    if (!row) return
    event.preventDefault()
    row.link.focus()
  }
}
