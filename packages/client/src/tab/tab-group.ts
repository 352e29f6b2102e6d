import type { TabMessage } from './tab-message.ts'

export interface TabListener {
  message(message: TabMessage): void
  /** This tab leads from now on: the one before has gone. */
  lead(): void
}

/**
 * The tabs of one origin: one of them leads (Web Locks), each hears what the others post (BroadcastChannel). Where a browser has not
 * both of them, or sharing is off, every tab leads a group of its own.
 */
export class TabGroup {
  readonly tab = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`
  readonly #name: string
  readonly #shared: boolean
  #channel: BroadcastChannel | undefined
  #leaving: AbortController | undefined

  constructor(name: string, shared: boolean) {
    this.#name = name
    this.#shared = shared && 'locks' in navigator && typeof BroadcastChannel === 'function'
  }

  /** The browser hands the lead to the next tab when this one leaves, is closed or crashes. */
  join(listener: TabListener): void {
    const leaving = new AbortController()
    this.#leaving = leaving
    const { signal } = leaving
    const lead = () => {
      if (!signal.aborted) listener.lead()
    }
    if (!this.#shared) return lead()
    this.#channel = new BroadcastChannel(this.#name)
    this.#channel.addEventListener('message', ({ data }: MessageEvent<TabMessage>) => listener.message(data))
    const hold = () =>
      new Promise<void>((release) => {
        if (signal.aborted) return release()
        signal.addEventListener('abort', () => release())
        lead()
      })
    // Rejects when we leave before our turn, and where storage is closed to the page: alone then.
    navigator.locks.request(this.#name, { signal }, hold).catch(lead)
  }

  post(message: TabMessage): void {
    this.#channel?.postMessage(message)
  }

  leave(): void {
    this.#leaving?.abort()
    this.#channel?.close()
    this.#channel = undefined
  }
}
