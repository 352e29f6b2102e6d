import type { Settings } from '../options.ts'

export type Renewed = 'renewed' | 'refused' | 'failed'

const justNowMs = 5_000

/** Renews the member's cookie, one attempt at a time. */
export class Renewal {
  readonly #settings: Pick<Settings, 'refreshSession' | 'requestTimeoutMs'>
  #running: Promise<Renewed> | undefined
  #renewedAt = Number.NEGATIVE_INFINITY

  constructor(settings: Pick<Settings, 'refreshSession' | 'requestTimeoutMs'>) {
    this.#settings = settings
  }

  renew(): Promise<Renewed> {
    this.#running ??= this.#attempt().finally(() => (this.#running = undefined))
    return this.#running
  }

  /** For calls that were refused together: what was renewed just now is not renewed again. */
  async renewUnlessJustDone(): Promise<boolean> {
    if (performance.now() - this.#renewedAt < justNowMs) return true
    return (await this.renew()) === 'renewed'
  }

  async #attempt(): Promise<Renewed> {
    const { refreshSession, requestTimeoutMs } = this.#settings
    if (!refreshSession) return 'refused'
    try {
      if (!(await within(requestTimeoutMs, refreshSession()))) return 'refused'
      this.#renewedAt = performance.now()
      return 'renewed'
    } catch {
      // Not a no: the application could not find out, being offline for one.
      return 'failed'
    }
  }
}

async function within<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${timeoutMs} ms`)), timeoutMs)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}
