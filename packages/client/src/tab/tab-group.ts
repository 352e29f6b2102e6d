import type { TabMessage } from './tab-message.ts'

export interface TabListener {
  message(message: TabMessage): void
  /** This tab leads from now on. */
  lead(): void
  /** Another tab has taken the lead by force: this one has not responded for a while. */
  replaced(): void
}

/**
 * The tabs of one origin. The tab that holds the Web Lock leads; each tab receives what the others post on a BroadcastChannel. Without
 * either API, or with sharing off, every tab leads a group of its own.
 */
export class TabGroup {
  /** A random id. */
  readonly tab = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`
  readonly #name: string
  readonly #sharing: boolean
  #channel: BroadcastChannel | undefined
  #listener: TabListener | undefined
  /** A request to take the lead is not settled yet. A second one would take it from the first. */
  #taking = false
  #leaving: AbortController | undefined

  constructor(name: string, sharing: boolean) {
    this.#name = name
    this.#sharing = sharing
  }

  /** Joins, and requests the lock. The browser hands it on when the leading tab leaves, is closed or crashes. */
  join(listener: TabListener): void {
    const leaving = new AbortController()
    this.#leaving = leaving
    if (!this.#sharing || !('locks' in navigator) || typeof BroadcastChannel !== 'function') return listener.lead()
    this.#listener = listener
    this.#channel = new BroadcastChannel(this.#name)
    this.#channel.addEventListener('message', ({ data }: MessageEvent<TabMessage>) => listener.message(data))
    this.#request(listener, leaving.signal, { signal: leaving.signal })
  }

  /** Takes the lead by force. The request of `join` stays: it counts again when another tab does the same to this one. */
  takeLead(): void {
    if (!this.#listener || !this.#leaving || this.#taking) return
    this.#taking = true
    this.#request(this.#listener, this.#leaving.signal, { steal: true })
  }

  post(message: TabMessage): void {
    this.#channel?.postMessage(message)
  }

  leave(): void {
    this.#leaving?.abort()
    this.#channel?.close()
    this.#channel = undefined
    this.#listener = undefined
  }

  #request(listener: TabListener, left: AbortSignal, options: LockOptions): void {
    let held = false
    const hold = () =>
      new Promise<void>((release) => {
        this.#taking = false
        if (left.aborted) return release()
        held = true
        left.addEventListener('abort', () => release())
        listener.lead()
      })
    navigator.locks.request(this.#name, options, hold).catch(() => {
      if (left.aborted) return
      // The page has no access to storage: the tab leads by itself.
      if (!held) return listener.lead()
      listener.replaced()
      if (!options.steal) this.#request(listener, left, options)
    })
  }
}
