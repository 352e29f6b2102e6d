import type { TidingsError } from './tidings-error.ts'

/** Result of an HTTP call. `status` is 0 when there was no response. */
export type ApiResult<T> =
  | { readonly ok: true; readonly body: T }
  | { readonly ok: false; readonly status: number; readonly error: TidingsError }
