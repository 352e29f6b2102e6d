import type { ErrorMessage, SessionMessage, SessionQueue } from '@tidings/protocol'
import type { Subscription } from '../channel/subscription.ts'
import type { Outlet } from '../socket/transport.ts'

/** The gateway's own messages to one session. They reach the client only where it is subscribed to their queue. */
export class SessionQueues {
  readonly #subscriptions: ReadonlyMap<string, Subscription>
  readonly #outlet: Outlet
  /** Number of the last message, which is its `message-id`. */
  #count = 0

  /** `subscriptions`: the live map of the session. */
  constructor(subscriptions: ReadonlyMap<string, Subscription>, outlet: Outlet) {
    this.#subscriptions = subscriptions
    this.#outlet = outlet
  }

  /** Sends a message on `/member/queue/session`. Returns false when the client is not subscribed to it. */
  notify(message: SessionMessage): boolean {
    return this.#send('session', message)
  }

  /** Sends a refused SEND on `/member/queue/error`. */
  sendError(message: ErrorMessage): void {
    this.#send('error', message)
  }

  #send(queue: SessionQueue, message: SessionMessage | ErrorMessage): boolean {
    let sent = false
    for (const { target, head } of this.#subscriptions.values()) {
      if (target.kind !== 'session' || target.queue !== queue) continue
      this.#count++
      this.#outlet.send(head.encode(String(this.#count), Buffer.from(JSON.stringify(message))))
      sent = true
    }
    return sent
  }
}
