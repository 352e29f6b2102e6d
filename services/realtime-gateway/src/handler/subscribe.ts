import {
  Close,
  formatPosition,
  type Frame,
  type Position,
  parsePosition,
  resolveDestination,
  subscribable,
} from '@tidings/protocol'
import { MessageHead } from '../channel/message-head.ts'
import type { FrameHandler, Outcome, Session } from '../session/session.ts'
import { type AckMode, ackModes, Subscription } from '../channel/subscription.ts'

/** SUBSCRIBE, new or resumed after `last-message-id` (PROTOCOL.md §5). */
export const subscribe: FrameHandler = (session, frame) => {
  const subscription = parse(session, frame)
  if (!subscription) return undefined
  session.subscriptions.set(subscription.id, subscription)
  return subscription.target.kind === 'channel' ? open(session, subscription, subscription.target.channel, frame) : undefined
}

/** Checks the frame; a refusal has been sent when there is no subscription. */
function parse(session: Session, frame: Frame): Subscription | undefined {
  const refuse = (code: typeof Close.badFrame | typeof Close.forbidden, reason: string) => {
    session.refuseFrame(code, reason, frame)
    return undefined
  }
  const { headers } = frame
  const version = session.version ?? '1.0'
  const destination = headers.get('destination')
  if (destination === undefined) return refuse(Close.badFrame, 'SUBSCRIBE needs a destination header')
  const subscriptionId = headers.get('id')
  // STOMP 1.1 and 1.2, SUBSCRIBE: "the frame MUST include an id header"; in 1.0 the destination stands for it.
  if (subscriptionId === undefined && version !== '1.0') return refuse(Close.badFrame, 'SUBSCRIBE needs an id header')
  const id = subscriptionId ?? destination
  if (session.subscriptions.has(id)) return refuse(Close.badFrame, `there is a subscription with id ${id} already`)
  const { maxSubscriptionsPerSession } = session.limits
  if (session.subscriptions.size >= maxSubscriptionsPerSession) {
    return refuse(Close.badFrame, `more than ${maxSubscriptionsPerSession} subscriptions (MAX_SUBSCRIPTIONS_PER_SESSION)`)
  }
  const ackMode = headers.get('ack') ?? 'auto'
  if (!isAckMode(ackMode)) return refuse(Close.badFrame, `ack must be one of ${ackModes.join(', ')}`)
  const target = resolveDestination(destination, session.principal.memberId)
  if (!target) return refuse(Close.forbidden, `no such destination: ${destination}; allowed are ${subscribable}`)
  const head = new MessageHead(destination, subscriptionId, version)
  const likeness = `${version}\n${subscriptionId ?? ''}`
  return new Subscription(session, { id, destination, target, ackMode, head, likeness })
}

async function open(session: Session, subscription: Subscription, channel: string, frame: Frame): Promise<Outcome | void> {
  const position = await session.hub.subscribe(channel, subscription)
  if (subscription.ended) return session.hub.unsubscribe(channel, subscription)
  const lastMessageId = frame.headers.get('last-message-id')
  const after = lastMessageId === undefined ? undefined : (parsePosition(lastMessageId) ?? unknown)
  const upToDate = after?.epoch === position.epoch && after.offset === position.offset
  if (after && !upToDate) return resume(session, subscription, channel, after, frame)
  if (after) session.metrics.resumed(true)
  else if (isTask(subscription)) return joinTask(session, subscription, channel, position)
  if (subscription.ackMode !== 'auto') subscription.follow(channel, position, session.hub.history)
  return { receipt: [...(after ? [['recovered', 'true'] as const] : []), ['position', formatPosition(position)]] }
}

/** Live first, then history: what lands between the two is held, and seen twice rather than missed; positions drop the repeat. */
async function resume(
  session: Session,
  subscription: Subscription,
  channel: string,
  after: Position,
  frame: Frame,
): Promise<Outcome | void> {
  const follower = subscription.follow(channel, after, session.hub.history)
  const page = await follower.holdAndRead()
  session.metrics.resumed(page.whole)
  if (!page.whole && isTask(subscription)) return joinTask(session, subscription, channel, page.last, [['recovered', 'false']])
  const [first] = page.publications
  const start = page.whole ? after : first?.position ? { ...first.position, offset: first.position.offset - 1 } : page.last
  // Who asked for a receipt reads the loss there.
  const answered = frame.headers.has('receipt')
  return {
    receipt: [
      ['recovered', String(page.whole)],
      ['position', formatPosition(start)],
    ],
    // After the RECEIPT, so that the client knows what the messages mean; frames that follow need not wait for the history.
    afterwards: () => void follower.catchUp(answered ? { ...page, whole: true } : page),
  }
}

/** Begins with the task as it stands, then delivers what follows it. */
async function joinTask(
  session: Session,
  subscription: Subscription & { target: { taskId: string } },
  channel: string,
  position: Position,
  receipt: readonly (readonly [string, string])[] = [],
): Promise<Outcome | void> {
  const follower = subscription.follow(channel, position, session.hub.history)
  follower.hold()
  // It may be of megabytes: one at a time waits for the reader, and this frame is handled before the next.
  await session.drained()
  if (subscription.ended) return undefined
  const snapshot = await session.taskSnapshot(channel, subscription.target.taskId, position)
  follower.position = snapshot.position
  return {
    receipt: [...receipt, ['position', formatPosition(snapshot.position)]],
    afterwards: () => {
      if (snapshot.state) subscription.snapshot(snapshot.position, JSON.stringify({ type: 'snapshot', ...snapshot.state }))
      void follower.catchUp()
    },
  }
}

function isTask(subscription: Subscription): subscription is Subscription & { target: { taskId: string } } {
  return subscription.target.kind === 'channel' && subscription.target.taskId !== undefined
}

/** A `last-message-id` that is no position: nothing can be known to be whole. */
const unknown: Position = { epoch: 0, offset: 1 }

function isAckMode(text: string): text is AckMode {
  return (ackModes as readonly string[]).includes(text)
}
