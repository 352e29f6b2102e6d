import type { Settings } from '../options.ts'

/** `refused`: the application cannot renew the cookie. `failed`: it could not find out, for instance while offline. */
export type RenewalOutcome = 'renewed' | 'refused' | 'failed'

/** Calls that were refused with the same expired cookie come within this time of its renewal. */
const recentRenewalMs = 5_000

/** Renews the member's cookie with the application's `refreshSession`, one attempt at a time. */
export class SessionRenewal {
  readonly #settings: Pick<Settings, 'refreshSession' | 'requestTimeoutMs'>
  #running: Promise<RenewalOutcome> | undefined
  #paused = false
  #renewedAt = Number.NEGATIVE_INFINITY

  constructor(settings: Pick<Settings, 'refreshSession' | 'requestTimeoutMs'>) {
    this.#settings = settings
  }

  /** While it is paused, the cookie is not renewed: the member signs out. */
  set paused(paused: boolean) {
    this.#paused = paused
  }

  /** Never rejects. */
  renew(): Promise<RenewalOutcome> {
    this.#running ??= this.#attempt().finally(() => (this.#running = undefined))
    return this.#running
  }

  /** Resolves to whether the cookie is fresh. Several calls refused at the same time share one renewal. */
  async renewUnlessRecent(): Promise<boolean> {
    if (!this.#paused && performance.now() - this.#renewedAt < recentRenewalMs) return true
    return (await this.renew()) === 'renewed'
  }

  async #attempt(): Promise<RenewalOutcome> {
    const { refreshSession, requestTimeoutMs } = this.#settings
    if (!refreshSession || this.#paused) return 'refused'
    try {
      if (!(await withTimeout(requestTimeoutMs, refreshSession()))) return 'refused'
      this.#renewedAt = performance.now()
      return 'renewed'
    } catch {
      return 'failed'
    }
  }
}

async function withTimeout<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('timeout')), timeoutMs)
  })
  return Promise.race([work, timeout]).finally(() => clearTimeout(timer))
}
