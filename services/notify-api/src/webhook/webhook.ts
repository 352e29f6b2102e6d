import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type { WebhookEvent } from '@tidings/protocol'
import type { Delivered, Deliverer, Escalated } from '../reach/deliverer.ts'
import { retryDelaySeconds } from './retry.ts'
import { type Answer, post } from './post.ts'
import { signaturesOf } from './secret.ts'

export interface WebhookSettings {
  readonly url: string
  /** Each signs every request. */
  readonly keys: readonly Buffer[]
  readonly timeoutMs: number
  readonly concurrency: number
  readonly maxAttempts: number
}

/** A free connection is closed after this time. Many servers close theirs 5 s after an answer, without regard to a request on its way. */
const idleConnectionMs = 4_000
/** The receiver wants no more requests of this kind. */
const gone = 410

/** Sends notifications that are still unseen to the operator's webhook, as Standard Webhooks specify. */
export class Webhook implements Deliverer {
  readonly #settings: WebhookSettings
  readonly #url: URL
  readonly #agent: HttpAgent

  constructor(settings: WebhookSettings) {
    this.#settings = settings
    this.#url = new URL(settings.url)
    const Agent = this.#url.protocol === 'https:' ? HttpsAgent : HttpAgent
    this.#agent = new Agent({ keepAlive: true, maxSockets: settings.concurrency, timeout: idleConnectionMs })
  }

  get maxInFlight(): number {
    return this.#settings.concurrency
  }

  async deliver(item: Escalated): Promise<Delivered> {
    const { attempts } = item
    const { status, retryAfter, reason } = await this.#post(item)
    if (status >= 200 && status < 300) return { outcome: 'sent' }
    if (status === gone || attempts >= this.#settings.maxAttempts) return { outcome: 'dead', reason }
    return { outcome: 'retry', afterSeconds: retryDelaySeconds(attempts, retryAfter), reason }
  }

  close(): Promise<void> {
    this.#agent.destroy()
    return Promise.resolve()
  }

  /** Resolves to the answer of the receiver; to the status 0 when there is none. */
  async #post(item: Escalated): Promise<Answer & { readonly reason: string }> {
    const { keys, timeoutMs } = this.#settings
    const now = new Date()
    const id = `esc_${item.notificationId}`
    const timestamp = Math.floor(now.getTime() / 1_000)
    const body = bodyOf(item, now)
    const headers = {
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(body)),
      'user-agent': 'tidings',
      'webhook-id': id,
      'webhook-timestamp': String(timestamp),
      'webhook-signature': signaturesOf(keys, id, timestamp, body),
    }
    try {
      const answer = await post(this.#url, { agent: this.#agent, headers, body, timeoutMs })
      return { ...answer, reason: `HTTP ${answer.status}` }
    } catch (error) {
      const { name, message, code } = error as NodeJS.ErrnoException
      const reason = name === 'AbortError' ? `no answer within ${timeoutMs} ms` : (code ?? message)
      return { status: 0, retryAfter: undefined, reason }
    }
  }
}

function bodyOf(item: Escalated, now: Date): string {
  const { notificationId, memberId, message, redirectPath, kind, data, count, createdAt } = item
  const event: WebhookEvent = {
    type: 'notification.unseen',
    timestamp: now.toISOString(),
    data: { notificationId, memberId, message, redirectPath, kind, data, count, createdAt: createdAt.toISOString() },
  }
  return JSON.stringify(event)
}
