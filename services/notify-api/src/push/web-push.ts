import type { Delivered, Deliverer, Escalated } from '../reach/deliverer.ts'
import { encrypt } from './encryption.ts'
import { endpointFault, PrivateAddress, type PrivateAddresses } from './endpoint.ts'
import { OriginSlots } from './origin-slots.ts'
import { payloadOf, topicOf } from './payload.ts'
import { PushClient, type PushResponse } from './push-client.ts'
import type { WebPushSettings } from './settings.ts'
import { type PushSubscription, type PushSubscriptions, SubscriptionReader } from './subscription-store.ts'
import { VapidSigner } from './vapid.ts'

/** Outcome of one push message. */
type Pushed =
  | { readonly outcome: 'sent' }
  /** The subscription has ended. */
  | { readonly outcome: 'gone' }
  | { readonly outcome: 'dead'; readonly reason: string }
  | {
      readonly outcome: 'retry'
      readonly afterSeconds?: number | undefined
      readonly reason: string
      /** False when the push service was not asked, as others keep it busy. */
      readonly asked: boolean
    }

const deliverMs = 7_500
/** Push services keep a message for four weeks at most. */
const maxTtlSeconds = 2_419_200
const maxAttempts = 12
/** So many attempts take longer than this, unless some of them only waited for a busy push service. */
const minAttemptsSeconds = 3_600
const firstRetrySeconds = 5
const maxRetrySeconds = 3_600

/** Delivers notifications to the browsers of their members, through the push services of the browsers (RFC 8030). */
export class WebPush implements Deliverer {
  readonly maxInFlight: number
  readonly #subscriptions: PushSubscriptions
  readonly #reader: SubscriptionReader
  readonly #signer: VapidSigner
  readonly #slots: OriginSlots
  readonly #client: PushClient
  readonly #ttlSeconds: number
  readonly #privateAddresses: PrivateAddresses

  constructor(
    { vapid, concurrency, perOrigin, ttlSeconds, privateAddresses }: WebPushSettings,
    subscriptions: PushSubscriptions,
  ) {
    this.maxInFlight = concurrency
    this.#subscriptions = subscriptions
    this.#reader = new SubscriptionReader(subscriptions)
    this.#signer = new VapidSigner(vapid)
    this.#slots = new OriginSlots({ inAll: concurrency, perOrigin })
    this.#client = new PushClient({ privateAddresses, perOrigin })
    this.#ttlSeconds = ttlSeconds
    this.#privateAddresses = privateAddresses
  }

  deliver(item: Escalated): Promise<Delivered> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(databaseAway(item)), deliverMs)
      void this.#deliver(item)
        .catch(() => databaseAway(item))
        .then(resolve)
        .finally(() => clearTimeout(timer))
    })
  }

  async close(): Promise<void> {
    this.#client.close()
  }

  async #deliver(item: Escalated): Promise<Delivered> {
    const begin = performance.now()
    const subscriptions = await this.#reader.of(item.memberKey)
    if (subscriptions.length === 0) return { outcome: 'none' }
    const settled = item.attempts > 1 ? await this.#subscriptions.settled(item.notificationId) : new Map<number, boolean>()
    // A request that began later could end when the delivery counts as failed.
    if (performance.now() - begin > maxReadMs) return databaseAway(item)
    const open = subscriptions.filter(({ subscriptionId }) => !settled.has(subscriptionId))
    const pushed = await Promise.all(open.map(async (each) => [each.subscriptionId, await this.#push(item, each)] as const))
    return this.#conclude(item, settled, pushed)
  }

  async #push(item: Escalated, subscription: PushSubscription): Promise<Pushed> {
    const { endpoint, auth } = subscription
    const fault = endpointFault(endpoint, this.#privateAddresses)
    if (fault !== undefined) return { outcome: 'dead', reason: `the endpoint ${fault}` }
    const { origin } = new URL(endpoint)
    const slot = await this.#slots.acquire(origin)
    if (!('release' in slot)) {
      return { outcome: 'retry', asked: false, afterSeconds: Math.ceil(slot.retryAfterMs / 1_000), reason: `${origin} is busy` }
    }
    const topic = topicOf(item, auth)
    const headers = {
      authorization: this.#signer.authorization(origin),
      'content-encoding': 'aes128gcm',
      'content-type': 'application/octet-stream',
      ttl: String(Math.floor(this.#secondsLeft(item))),
      urgency: item.urgency,
      ...(topic !== undefined && { topic }),
    }
    try {
      const response = await this.#client.post(endpoint, headers, encrypt(payloadOf(item, subscription), subscription))
      slot.release(true)
      return outcomeOf(response, origin)
    } catch (error) {
      slot.release(false)
      if (error instanceof PrivateAddress) return { outcome: 'dead', reason: error.message }
      return { outcome: 'retry', asked: true, reason: `${origin}: ${error instanceof Error ? error.message : String(error)}` }
    }
  }

  async #conclude(
    item: Escalated,
    before: ReadonlyMap<number, boolean>,
    pushed: readonly (readonly [id: number, Pushed])[],
  ): Promise<Delivered> {
    const { notificationId } = item
    const gone = pushed.filter(([, { outcome }]) => outcome === 'gone').map(([id]) => id)
    if (gone.length > 0) await this.#subscriptions.drop(gone)
    const now = new Map<number, boolean>()
    const reasons: string[] = []
    let afterSeconds: number | undefined
    for (const [id, each] of pushed) {
      if (each.outcome === 'sent' || each.outcome === 'dead') now.set(id, each.outcome === 'sent')
      if ('reason' in each) reasons.push(each.reason)
      const seconds = each.outcome === 'retry' ? this.#retryAfter(item, each) : undefined
      // The longest: a push service that says when to come again is not asked before.
      if (seconds !== undefined) afterSeconds = Math.max(afterSeconds ?? 0, seconds)
    }
    const [reason = 'no subscription took it'] = reasons
    if (afterSeconds !== undefined) {
      if (now.size > 0) await this.#subscriptions.settle(notificationId, now)
      return { outcome: 'retry', afterSeconds, reason }
    }
    if (before.size > 0) await this.#subscriptions.forget(notificationId)
    if ([...before.values(), ...now.values()].includes(true)) return { outcome: 'sent' }
    return before.size + pushed.length > gone.length ? { outcome: 'dead', reason } : { outcome: 'none' }
  }

  /** Returns after how many seconds a push message is repeated; undefined when it is given up. */
  #retryAfter(item: Escalated, { afterSeconds = 0, asked }: Extract<Pushed, { outcome: 'retry' }>): number | undefined {
    if (asked && item.attempts >= maxAttempts && ageSeconds(item) >= minAttemptsSeconds) return undefined
    const backoff = asked ? backoffSeconds(item) : 0
    const seconds = Math.min(Math.max(afterSeconds, backoff), maxRetrySeconds)
    return seconds < this.#secondsLeft(item) ? seconds : undefined
  }

  /** Returns for how many seconds the notification is of use. */
  #secondsLeft({ createdAt, expiresAt }: Escalated): number {
    const until = expiresAt?.getTime() ?? createdAt.getTime() + this.#ttlSeconds * 1_000
    return Math.min(Math.max(0, (until - Date.now()) / 1_000), maxTtlSeconds)
  }
}

/** Longest read of subscriptions. With the wait for a slot and the request, it stays below {@link deliverMs}. */
const maxReadMs = 900

/** Returns the time until the next attempt, at most as long as the notification is old: attempts that only waited do not add to it. */
function backoffSeconds(item: Escalated): number {
  const doubled = firstRetrySeconds * 2 ** (item.attempts - 1)
  return Math.max(firstRetrySeconds, Math.min(doubled, ageSeconds(item), maxRetrySeconds))
}

function ageSeconds({ createdAt }: Escalated): number {
  return (Date.now() - createdAt.getTime()) / 1_000
}

function databaseAway(item: Escalated): Delivered {
  return { outcome: 'retry', afterSeconds: backoffSeconds(item), reason: 'the database does not reply in time' }
}

function outcomeOf({ status, retryAfterSeconds, text }: PushResponse, origin: string): Pushed {
  if (status >= 200 && status < 300) return { outcome: 'sent' }
  if (status === 404 || status === 410) return { outcome: 'gone' }
  const reason = `${origin} responded with ${status}${text && `: ${text}`}`
  if (status === 429 || status >= 500) return { outcome: 'retry', asked: true, afterSeconds: retryAfterSeconds, reason }
  return { outcome: 'dead', reason }
}
