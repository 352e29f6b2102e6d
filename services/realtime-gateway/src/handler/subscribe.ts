import {
  Close,
  type Destination,
  escapeHeader,
  formatPosition,
  type Frame,
  type Position,
  parsePosition,
  resolveDestination,
  subscribable,
} from '@tidings/protocol'
import { snapshotBody, type StoredTask, type TaskSnapshots } from '../backend/task-snapshot.ts'
import type { Hub } from '../channel/hub.ts'
import { ackLineLength, MessageHead } from '../channel/message-head.ts'
import { type AckMode, ackModes, keyWithoutId, Subscription } from '../channel/subscription.ts'
import type { Limits } from '../config.ts'
import type { Metrics } from '../ops/metrics.ts'
import { ChannelRefusedError } from '../redis/broker.ts'
import { type Handled, notPermitted, type Outcome, type Refusal, refuse } from '../session/outcome.ts'
import type { FrameHandler, Session } from '../session/session.ts'
import type { TopicAccess } from '../session/topic-access.ts'

export interface SubscribeDeps {
  readonly hub: Hub
  readonly limits: Limits
  readonly metrics: Metrics
  readonly topicAccess: TopicAccess
  readonly snapshots: TaskSnapshots
  readonly storedTask: StoredTask
}

type ChannelSubscription = Subscription & { target: Extract<Destination, { kind: 'channel' }> }
type TaskSubscription = ChannelSubscription & { target: { taskId: string } }

/** SUBSCRIBE, new or resumed after `last-message-id` (PROTOCOL.md §5). */
export function subscribe(deps: SubscribeDeps): FrameHandler {
  return (session, frame) => {
    const subscription = subscriptionOf(session, frame, deps)
    if (!(subscription instanceof Subscription)) return subscription
    session.subscriptions.set(subscription.key, subscription)
    return isChannel(subscription) ? open(deps, session, subscription, frame) : undefined
  }
}

function subscriptionOf(session: Session, { headers }: Frame, { limits, topicAccess }: SubscribeDeps): Subscription | Refusal {
  const { version = '1.0', transport: outlet, lane } = session
  const destination = headers.get('destination')
  if (destination === undefined) return refuse(Close.badFrame, 'SUBSCRIBE needs a destination header')
  const id = headers.get('id')
  // STOMP 1.1 and 1.2, SUBSCRIBE: "the frame MUST include an id header"; in 1.0 the destination takes its place.
  if (id === undefined && version !== '1.0') return refuse(Close.badFrame, 'SUBSCRIBE needs an id header')
  if (session.subscriptions.has(id ?? keyWithoutId(destination))) {
    const name = id === undefined ? `to ${destination} without id` : `with id ${id}`
    return refuse(Close.badFrame, `there is a subscription ${name} already`)
  }
  const { maxSubscriptionsPerSession, maxUnackedMessages, maxHeaderBytes } = limits
  const maxIdBytes = maxHeaderBytes - ackLineLength
  if (id !== undefined && Buffer.byteLength(escapeHeader(id, version)) > maxIdBytes) {
    return refuse(Close.badFrame, `id is longer than ${maxIdBytes} bytes (MAX_HEADER_BYTES, less what ACK adds to it)`)
  }
  if (session.subscriptions.size >= maxSubscriptionsPerSession) {
    return refuse(Close.badFrame, `more than ${maxSubscriptionsPerSession} subscriptions (MAX_SUBSCRIPTIONS_PER_SESSION)`)
  }
  const ackMode = headers.get('ack') ?? 'auto'
  if (!isAckMode(ackMode)) return refuse(Close.badFrame, `ack must be one of ${ackModes.join(', ')}`)
  const target = resolveDestination(destination, session.principal.memberId)
  if (!target) return refuse(Close.forbidden, `no such destination: ${destination}; allowed are ${subscribable}`)
  if (target.kind === 'channel' && target.topic !== undefined && !topicAccess.allows(target.topic, session.topics)) {
    return refuse(Close.forbidden, `the claim topics of the token does not permit ${destination}`)
  }
  const head = new MessageHead(destination, id, version)
  return new Subscription({ id, destination, target, ackMode, head, outlet, lane, listener: session, maxUnackedMessages })
}

async function open(deps: SubscribeDeps, session: Session, subscription: ChannelSubscription, frame: Frame): Promise<Outcome> {
  const { hub, metrics } = deps
  const { channel } = subscription.target
  const position = await joinChannel(hub, channel, subscription)
  if (!position) return notPermitted(subscription.destination)
  if (subscription.ended) {
    hub.unsubscribe(channel, subscription)
    return undefined
  }
  const lastMessageId = frame.headers.get('last-message-id')
  const after = lastMessageId === undefined ? undefined : (parsePosition(lastMessageId) ?? unknown)
  const upToDate = after?.epoch === position.epoch && after.offset === position.offset && !hub.catchingUp(channel)
  if (after && !upToDate) return resume(deps, session, subscription, after, frame)
  if (after) metrics.resumed(true)
  else if (isTask(subscription)) return joinTask(deps, session, subscription, position)
  if (subscription.ackMode !== 'auto') subscription.follow(channel, position, hub.history)
  return { receipt: [...(after ? [['recovered', 'true'] as const] : []), ['position', formatPosition(position)]] }
}

/** Resolves to the position of the channel, or to undefined when Redis does not permit the channel. */
async function joinChannel(hub: Hub, channel: string, subscription: Subscription): Promise<Position | undefined> {
  try {
    return await hub.subscribe(channel, subscription)
  } catch (error) {
    if (error instanceof ChannelRefusedError) return undefined
    throw error
  }
}

/** Live before history: what is published between the two is received twice rather than missed; positions drop the repeat. */
async function resume(
  deps: SubscribeDeps,
  session: Session,
  subscription: ChannelSubscription,
  after: Position,
  frame: Frame,
): Promise<Handled | undefined> {
  const cursor = subscription.follow(subscription.target.channel, after, deps.hub.history)
  // A client with too much unread gets no page before its turn, but the RECEIPT all the same.
  const page = await cursor.bufferAndRead(session.lane.behind ? 1 : undefined)
  deps.metrics.resumed(page.whole)
  if (!page.whole && isTask(subscription)) return joinTask(deps, session, subscription, page.last, [['recovered', 'false']])
  const [first] = page.publications
  const start = page.whole ? after : first?.position ? { ...first.position, offset: first.position.offset - 1 } : page.last
  const hasReceipt = frame.headers.has('receipt')
  return {
    receipt: [
      ['recovered', String(page.whole)],
      ['position', formatPosition(start)],
    ],
    // After the RECEIPT, so that the client knows what the messages mean; later frames need not wait for the history.
    afterwards: () => {
      // The RECEIPT already reports the loss, so no `gap` is sent then.
      if (!page.whole && !hasReceipt) subscription.gap()
      cursor.position = start
      void cursor.catchUp({ ...page, whole: true })
    },
  }
}

/** Sends a snapshot of the task, then what follows it. */
async function joinTask(
  { hub, snapshots, storedTask }: SubscribeDeps,
  session: Session,
  subscription: TaskSubscription,
  position: Position,
  receipt: readonly (readonly [string, string])[] = [],
): Promise<Handled | undefined> {
  const { channel, taskId } = subscription.target
  const cursor = subscription.follow(channel, position, hub.history)
  cursor.buffer()
  // A snapshot may have megabytes. Wait until earlier ones are sent, so that a session buffers one at most.
  await session.transport.drained()
  if (subscription.ended) return undefined
  const folded = await snapshots.of(channel)
  const stored = folded ? undefined : await storedTask(taskId, session.credentials)
  const body = folded?.body ?? (stored && snapshotBody(stored))
  const start = folded?.position ?? position
  cursor.position = start
  return {
    receipt: [...receipt, ['position', formatPosition(start)]],
    afterwards: () => {
      if (body) subscription.snapshot(start, body)
      void cursor.catchUp()
    },
  }
}

function isChannel(subscription: Subscription): subscription is ChannelSubscription {
  return subscription.target.kind === 'channel'
}

function isTask(subscription: ChannelSubscription): subscription is TaskSubscription {
  return subscription.target.taskId !== undefined
}

/** A `last-message-id` that is no position: the history cannot be whole after it. */
const unknown: Position = { epoch: 0, offset: 1 }

function isAckMode(text: string): text is AckMode {
  return (ackModes as readonly string[]).includes(text)
}
