import { Patience, Unanswered } from './patience.ts'
import { refusalOf } from './problem.ts'

export interface CallerOptions {
  /** Of notify-api: `http://notify-api:8081`. */
  readonly url: string
  /** A service token with the scope `task:write`; a function when it has to be renewed. */
  readonly token: string | (() => string | Promise<string>)
  /** How long a call is repeated while notify-api or what it stands on is away, in ms. */
  readonly patienceMs?: number | undefined
}

const defaultPatienceMs = 60_000
const answerMs = 10_000

/** Calls notify-api, and repeats what came to nothing. Every call it makes may be repeated without harm. */
export class Caller {
  readonly #options: CallerOptions

  constructor(options: CallerOptions) {
    this.#options = options
  }

  /** @throws TaskRefused, or the last error when patience is at its end. */
  async call<Answer>(path: string, body?: unknown): Promise<Answer> {
    const patience = this.patience()
    for (;;) {
      try {
        return await this.#attempt<Answer>(path, body)
      } catch (error) {
        await patience.after(error)
      }
    }
  }

  async fetch(
    path: string,
    { headers, ...init }: Omit<RequestInit, 'headers'> & { headers: Record<string, string> },
  ): Promise<Response> {
    const { url, token } = this.#options
    const bearer = typeof token === 'string' ? token : await token()
    return fetch(new URL(path, url), { ...init, headers: { ...headers, authorization: `Bearer ${bearer}` } })
  }

  patience(): Patience {
    return new Patience(this.#options.patienceMs ?? defaultPatienceMs)
  }

  async #attempt<Answer>(path: string, body: unknown): Promise<Answer> {
    const response = await this.fetch(path, {
      ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
      headers: { 'content-type': 'application/json' },
      signal: AbortSignal.timeout(answerMs),
    })
    if (response.ok) return (await response.json()) as Answer
    throw (await refusalOf(response)) ?? new Unanswered(`${path} answered ${response.status}`)
  }
}
