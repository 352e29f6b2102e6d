import { TidingsBell } from './tidings-bell.ts'

/** Registers the element `<tidings-bell>`. */
if ('customElements' in globalThis && !customElements.get('tidings-bell')) customElements.define('tidings-bell', TidingsBell)

declare global {
  interface HTMLElementTagNameMap {
    'tidings-bell': TidingsBell
  }
}

export { TidingsBell }
export type { BellKind, TidingsBellEventMap } from './tidings-bell.ts'
export type { BellTexts } from './text.ts'
