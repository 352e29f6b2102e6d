import type { InboxFilter } from '../inbox/inbox.ts'
import { h, set, setText } from './element.ts'

/** A list of the inbox that can be chosen. */
export interface Tab {
  readonly label: string
  /** Missing for the whole inbox. */
  readonly filter?: InboxFilter
}

/** The tabs above the list. The Tab key reaches the selected one, and the arrow keys select the others. */
export class TabRow {
  readonly element = h('div', { role: 'tablist', part: 'tabs', onkeydown: (event: KeyboardEvent) => this.#move(event) })
  readonly #select: (index: number) => void
  #buttons: readonly HTMLButtonElement[] = []
  #selected = 0

  constructor(select: (index: number) => void) {
    this.#select = select
  }

  update(tabs: readonly Tab[], selected: number, label: string): void {
    this.#selected = selected
    set(this.element, { 'aria-label': label })
    if (this.#buttons.length !== tabs.length) {
      this.#buttons = tabs.map((_, index) =>
        h('button', { type: 'button', role: 'tab', 'aria-controls': 'body', onclick: () => this.#select(index) }),
      )
      this.element.replaceChildren(...this.#buttons)
    }
    for (const [index, button] of this.#buttons.entries()) {
      const chosen = index === selected
      setText(button, tabs[index]?.label ?? '')
      set(button, { 'aria-selected': String(chosen), part: chosen ? 'tab tab-selected' : 'tab', tabindex: chosen ? 0 : -1 })
    }
  }

  #move(event: KeyboardEvent): void {
    const count = this.#buttons.length
    const forward = getComputedStyle(this.element).direction === 'rtl' ? -1 : 1
    const index = {
      ArrowRight: this.#selected + forward,
      ArrowLeft: this.#selected - forward,
      Home: 0,
      End: count - 1,
    }[event.key]
    if (index === undefined) return
    event.preventDefault()
    const target = (index + count) % count
    this.#buttons[target]?.focus()
    this.#select(target)
  }
}
