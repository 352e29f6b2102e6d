import type { SessionList } from '@tidings/protocol'
import type { ApiResult } from './api-result.ts'
import type { Diagnostics } from './diagnostics.ts'
import type { Settings } from './options.ts'
import { codeOfStatus } from './tidings-error.ts'

export type { ApiResult }

const noContent = 204

/** Calls notify-api with the member's cookie (PROTOCOL.md §4). No call rejects. */
export class HttpApi {
  readonly #settings: Pick<Settings, 'apiUrl' | 'requestTimeoutMs'>
  readonly #renew: () => Promise<boolean>
  readonly #diagnostics: Diagnostics

  /** `renew` is called when the cookie is refused. The call is repeated once when it resolves to true. */
  constructor(settings: Pick<Settings, 'apiUrl' | 'requestTimeoutMs'>, diagnostics: Diagnostics, renew: () => Promise<boolean>) {
    this.#settings = settings
    this.#diagnostics = diagnostics
    this.#renew = renew
  }

  /** A response with the status `expected` is not reported as a failure. */
  get<T>(path: string, expected?: number): Promise<ApiResult<T>> {
    return this.#call<T>(path, {}, expected)
  }

  post<T>(path: string, body: object = {}): Promise<ApiResult<T>> {
    return this.#write<T>('POST', path, body)
  }

  put<T>(path: string, body: object): Promise<ApiResult<T>> {
    return this.#write<T>('PUT', path, body)
  }

  delete<T>(path: string, body?: object): Promise<ApiResult<T>> {
    return this.#write<T>('DELETE', path, body)
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

  #write<T>(method: string, path: string, body: object | undefined): Promise<ApiResult<T>> {
    return this.#call<T>(path, {
      method,
      // The page may be left meanwhile, as when a notification is opened.
      keepalive: true,
      headers: { 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    })
  }

  async #call<T>(path: string, init: RequestInit, expected?: number): Promise<ApiResult<T>> {
    let result = await this.#send<T>(path, init)
    if (!result.ok && result.status === 401 && (await this.#renew())) result = await this.#send<T>(path, init)
    if (!result.ok && result.status !== expected) this.#diagnostics.failed(result.error)
    return result
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
      const { ok, status } = response
      const body: unknown = await response.json().catch(() => undefined)
      this.#diagnostics.log(`${init.method ?? 'GET'} ${path}: ${status}`)
      // A login page of the network, for instance, is no response of the API.
      if (ok && body === undefined && status !== noContent)
        return { ok: false, status: 0, error: { code: 'network', message: 'the response is no JSON' } }
      if (ok) return { ok, body: body as T }
      return { ok, status, error: { code: codeOfStatus(status), message: detailOf(body) ?? `HTTP ${status}` } }
    } catch (error) {
      const { name, message } = error as Error
      return { ok: false, status: 0, error: { code: name === 'TimeoutError' ? 'timeout' : 'network', message } }
    }
  }
}

/** Returns the text of a problem (RFC 9457). */
function detailOf(body: unknown): string | undefined {
  const { detail, title } = (body ?? {}) as { detail?: unknown; title?: unknown }
  return [detail, title].find((text) => typeof text === 'string')
}
