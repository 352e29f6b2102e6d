import type { Log } from '@tidings/chassis'
import { ControlMessage, type Publication } from '@tidings/protocol'
import { parseJson } from '../backend/parse-json.ts'
import type { CursorSink } from '../channel/cursor.ts'
import type { Sessions } from '../session/sessions.ts'

/** Executes the control messages to all gateways, from the channel `gateway:control` (PROTOCOL.md §3). */
export class Control implements CursorSink {
  readonly ended = false
  readonly #sessions: Sessions
  readonly #log: Log

  constructor(sessions: Sessions, log: Log) {
    this.#sessions = sessions
    this.#log = log
  }

  deliver({ body }: Publication): void {
    const message = ControlMessage.safeParse(parseJson(body))
    if (!message.success) return this.#log.warn({ reason: message.error.message }, 'control message is not valid')
    this.#log.info({ message: message.data }, 'control message')
    this.#sessions.revoke(message.data.memberId)
    return undefined
  }

  gap(): void {
    this.#log.error('control messages to the gateways were lost while Redis was away')
  }
}
