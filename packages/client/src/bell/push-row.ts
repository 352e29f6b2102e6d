import type { PushState } from '../push/push.ts'
import { h, set, setText } from './element.ts'
import type { BellTexts } from './text.ts'

/** The switch for web push at the end of the panel. Hidden where the browser or the server has none. */
export class PushRow {
  readonly element: HTMLElement
  readonly #label = h('span')
  readonly #switch: HTMLButtonElement
  readonly #note = h('p', { part: 'push-note', role: 'status' })
  #state: PushState | undefined

  constructor(switchTo: (on: boolean) => void) {
    const press = () => {
      if (this.#state && !this.#state.busy) switchTo(this.#state.state !== 'on')
    }
    this.#switch = h('button', { type: 'button', role: 'switch', part: 'push-switch', onclick: press }, this.#label, h('i'))
    this.element = h('div', { part: 'push', class: 'push' }, this.#switch, this.#note)
  }

  update(push: PushState, texts: BellTexts): void {
    this.#state = push
    const { state, busy, error } = push
    const denied = state === 'denied'
    const note = denied ? texts.pushDenied : error ? texts.pushFailed : ''
    this.element.hidden = state !== 'on' && state !== 'off' && !denied
    this.#switch.hidden = denied
    set(this.#switch, { 'aria-checked': String(state === 'on'), 'aria-disabled': String(busy) })
    setText(this.#label, texts.push)
    this.#note.hidden = note === ''
    setText(this.#note, note)
  }
}
