import { errorOf } from './problem.ts'
import { RetryWindow } from './retry-window.ts'

export interface CallerOptions {
  /** Base URL of notify-api: `http://notify-api:8081`. */
  readonly url: string
  /** A service token with the scope of the call, or a function that returns one, called for each attempt: tokens may be renewed. */
  readonly token: string | (() => string | Promise<string>)
  /** How long a call is retried while notify-api, MySQL or Redis is unavailable. Default: 60,000. */
  readonly patienceMs?: number | undefined
}

const defaultRetryWindowMs = 60_000
const requestTimeoutMs = 10_000

/** Calls notify-api, and retries calls that fail for the moment. */
export class Caller {
  readonly #options: CallerOptions

  constructor(options: CallerOptions) {
    this.#options = options
  }

  /** @throws Refused, or the last error when retrying has not helped within `patienceMs`. */
  async call<Body>(path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Body> {
    const retries = this.retryWindow()
    for (;;) {
      try {
        return await this.#attempt<Body>(path, body, headers)
      } catch (error) {
        await retries.waitAfter(error)
      }
    }
  }

  /** Sends one request with the service token. Not retried, and without a timeout. */
  async fetch(
    path: string,
    { headers, ...init }: Omit<RequestInit, 'headers'> & { headers: Record<string, string> },
  ): Promise<Response> {
    const { url, token } = this.#options
    const bearer = typeof token === 'string' ? token : await token()
    return fetch(new URL(path, url), { ...init, headers: { ...headers, authorization: `Bearer ${bearer}` } })
  }

  retryWindow(): RetryWindow {
    return new RetryWindow(this.#options.patienceMs ?? defaultRetryWindowMs)
  }

  async #attempt<Body>(path: string, body: unknown, headers: Record<string, string>): Promise<Body> {
    const response = await this.fetch(path, {
      ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
      headers: { 'content-type': 'application/json', ...headers },
      signal: AbortSignal.timeout(requestTimeoutMs),
    })
    if (response.ok) return (await response.json()) as Body
    throw await errorOf(response)
  }
}
