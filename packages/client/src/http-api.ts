import type { Settings } from './options.ts'

/** What the HTTP API answered; `status` 0: nobody answered. */
export type Answer<T> =
  | { readonly ok: true; readonly body: T }
  | { readonly ok: false; readonly status: number; readonly detail: string }

/** notify-api with the member's cookie (PROTOCOL.md §4). */
export class HttpApi {
  readonly #settings: Pick<Settings, 'apiUrl' | 'requestTimeoutMs'>
  readonly #renew: () => Promise<boolean>

  /** `renew` is called when the cookie was refused; the call is made once more when it answers true. */
  constructor(settings: Pick<Settings, 'apiUrl' | 'requestTimeoutMs'>, renew: () => Promise<boolean>) {
    this.#settings = settings
    this.#renew = renew
  }

  get<T>(path: string): Promise<Answer<T>> {
    return this.#call<T>(path, {})
  }

  post<T>(path: string, body: object = {}): Promise<Answer<T>> {
    return this.#call<T>(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  }

  /** How the API takes the cookie just now; nothing is renewed. */
  async probe(): Promise<'accepted' | 'unauthorized' | 'unreachable'> {
    const answer = await this.#once('/notification/unread-count', {})
    if (answer.ok || (answer.status !== 401 && answer.status > 0 && answer.status < 500)) return 'accepted'
    return answer.status === 401 ? 'unauthorized' : 'unreachable'
  }

  async #call<T>(path: string, init: RequestInit): Promise<Answer<T>> {
    const answer = await this.#once<T>(path, init)
    if (answer.ok || answer.status !== 401 || !(await this.#renew())) return answer
    return this.#once<T>(path, init)
  }

  async #once<T>(path: string, init: RequestInit): Promise<Answer<T>> {
    const { apiUrl, requestTimeoutMs } = this.#settings
    try {
      const response = await fetch(apiUrl + path, {
        ...init,
        credentials: 'include',
        cache: 'no-store',
        signal: AbortSignal.timeout(requestTimeoutMs),
      })
      const body: unknown = await response.json().catch(() => undefined)
      if (response.ok) return { ok: true, body: body as T }
      return { ok: false, status: response.status, detail: detailOf(body) ?? `HTTP ${response.status}` }
    } catch (error) {
      return { ok: false, status: 0, detail: error instanceof Error ? error.message : String(error) }
    }
  }
}

/** Of a problem (RFC 9457). */
function detailOf(body: unknown): string | undefined {
  const { detail, title } = (body ?? {}) as { detail?: unknown; title?: unknown }
  return [detail, title].find((text) => typeof text === 'string')
}
