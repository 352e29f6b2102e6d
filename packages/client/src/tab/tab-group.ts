import type { TabMessage } from './tab-message.ts'

export interface TabListener {
  message(message: TabMessage): void
  /** This tab leads from now on. */
  lead(): void
}

/**
 * The tabs of one origin. The tab that holds the Web Lock leads; each tab receives what the others post on a BroadcastChannel. Without
 * either API, or with sharing off, every tab leads a group of its own.
 */
export class TabGroup {
  /** A random id. */
  readonly tab = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`
  readonly #name: string
  readonly #shared: boolean
  #channel: BroadcastChannel | undefined
  #leaving: AbortController | undefined

  constructor(name: string, shared: boolean) {
    this.#name = name
    this.#shared = shared && 'locks' in navigator && typeof BroadcastChannel === 'function'
  }

  /** Joins, and requests the lock. The browser hands it on when the leading tab leaves, is closed or crashes. */
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
    // Rejects after `leave`, which `lead` ignores, and where the page has no access to storage: then the tab leads by itself.
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
