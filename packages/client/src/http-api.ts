import type { SessionList } from '@tidings/protocol'
import type { Settings } from './options.ts'

/** Result of an HTTP call. `status` is 0 when there was no response. */
export type ApiResult<T> =
  | { readonly ok: true; readonly body: T }
  | { readonly ok: false; readonly status: number; readonly detail: string }

/** Calls notify-api with the member's cookie (PROTOCOL.md §4). No call rejects. */
export class HttpApi {
  readonly #settings: Pick<Settings, 'apiUrl' | 'requestTimeoutMs'>
  readonly #renew: () => Promise<boolean>

  /** `renew` is called when the cookie is refused. The call is repeated once when it resolves to true. */
  constructor(settings: Pick<Settings, 'apiUrl' | 'requestTimeoutMs'>, renew: () => Promise<boolean>) {
    this.#settings = settings
    this.#renew = renew
  }

  get<T>(path: string): Promise<ApiResult<T>> {
    return this.#call<T>(path, {})
  }

  post<T>(path: string, body: object = {}): Promise<ApiResult<T>> {
    return this.#call<T>(path, {
      method: 'POST',
      // The page may be left meanwhile, as when a notification is opened.
      keepalive: true,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  }

  delete<T>(path: string): Promise<ApiResult<T>> {
    return this.#call<T>(path, { method: 'DELETE', headers: { 'content-type': 'application/json' } })
  }

  /** Has the server end the session of the connection, and refuse its token. Resolves to whether it has. */
  async endSession(): Promise<boolean> {
    const list = await this.get<SessionList>('/session')
    const own = list.ok ? list.body.sessions.find(({ current }) => current) : undefined
    return own !== undefined && (await this.post(`/session/${own.sessionId}/revoke`)).ok
  }

  /** Checks whether the API accepts the cookie, without renewing it. */
  async probe(): Promise<'accepted' | 'unauthorized' | 'unreachable'> {
    const result = await this.#send('/notification/unread-count', {})
    if (result.ok || (result.status !== 401 && result.status > 0 && result.status < 500)) return 'accepted'
    return result.status === 401 ? 'unauthorized' : 'unreachable'
  }

  async #call<T>(path: string, init: RequestInit): Promise<ApiResult<T>> {
    const result = await this.#send<T>(path, init)
    if (result.ok || result.status !== 401 || !(await this.#renew())) return result
    return this.#send<T>(path, init)
  }

  async #send<T>(path: string, init: RequestInit): Promise<ApiResult<T>> {
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

/** Returns the text of a problem (RFC 9457). */
function detailOf(body: unknown): string | undefined {
  const { detail, title } = (body ?? {}) as { detail?: unknown; title?: unknown }
  return [detail, title].find((text) => typeof text === 'string')
}
