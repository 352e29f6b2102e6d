import type { Settings } from './options.ts'
import { callAll } from './store.ts'
import type { TidingsError, TidingsErrorCode } from './tidings-error.ts'

/** What the client reports to developers: a log of what it does, and failures. */
export class Diagnostics {
  /** Logs one line, if the application has asked for it. */
  readonly log: (line: string) => void
  readonly #onError: (error: TidingsError) => void
  readonly #warned = new Set<TidingsErrorCode>()

  constructor({ debug, onError }: Pick<Settings, 'debug' | 'onError'>) {
    this.log = debug === true ? (line) => console.debug(`tidings: ${line}`) : debug || (() => {})
    this.#onError = (error) => callAll([onError], error)
  }

  /** A request has failed. */
  failed(error: TidingsError): void {
    this.log(`${error.code}: ${error.message}`)
    this.#onError(error)
  }

  /** Something about the page or the system needs a developer. Reported once for each code. */
  warn(error: TidingsError): void {
    if (this.#warned.has(error.code)) return
    this.#warned.add(error.code)
    console.warn(`tidings: ${error.message}`)
    this.#onError(error)
  }
}
