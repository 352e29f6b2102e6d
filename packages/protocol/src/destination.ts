import { broadcastChannel, memberChannel } from './channel.ts'
import type { MemberId } from './member-id.ts'

/** Target of a SUBSCRIBE destination (PROTOCOL.md §5, Destinations). */
export type Destination =
  /** A Redis channel. Every session that is subscribed to it, on any gateway, receives each publication. */
  | {
      readonly kind: 'channel'
      readonly channel: string
      /** Set if the channel carries one task; the subscription then begins with a snapshot. */
      readonly taskId?: string
      /** Set if the channel carries a topic; not every member may subscribe to it. */
      readonly topic?: string
    }
  /** A queue of this one session, which only its gateway writes to. */
  | { readonly kind: 'session'; readonly queue: SessionQueue }

/** Queues that the gateway writes for one session; they are not Redis channels. */
export const sessionQueues = ['session', 'error'] as const
/** Name of a session queue. */
export type SessionQueue = (typeof sessionQueues)[number]

/** Destination of a `SessionMessage`. */
export const sessionDestination = '/member/queue/session'
/** Destination of an `ErrorMessage`. */
export const errorDestination = '/member/queue/error'
/** Destination of a `NotificationMessage`. */
export const notificationDestination = '/member/queue/notification'
/** Destination of a `ReadMessage`. */
export const readDestination = '/member/queue/read'
/** Destination of a `BroadcastMessage`. */
export const broadcastDestination = '/topic/all'

/** Destination of a SEND with a `ReceivedNotifications`. */
export const receivedDestination = '/publish/notification/received'

/** The destinations that SUBSCRIBE accepts, as text for the ERROR of any other destination. */
export const subscribable = '/member/queue/{name} and /topic/{name}, where name is [A-Za-z0-9][A-Za-z0-9._-]{0,127}'

const name = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/
const taskQueue = /^task\.([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/
const memberQueue = '/member/queue/'
const topic = '/topic/'

/**
 * Resolves a SUBSCRIBE destination for one member. Returns undefined if there is no such destination. The caller takes `memberId`
 * from the principal of the session, never from the client, so that a client cannot name the queue of another member.
 */
export function resolveDestination(destination: string, memberId: MemberId): Destination | undefined {
  if (destination.startsWith(memberQueue)) {
    const queue = destination.slice(memberQueue.length)
    if (!name.test(queue)) return undefined
    if (isSessionQueue(queue)) return { kind: 'session', queue }
    const taskId = taskQueue.exec(queue)?.[1]
    return { kind: 'channel', channel: memberChannel(memberId, queue), ...(taskId === undefined ? {} : { taskId }) }
  }
  if (destination.startsWith(topic)) {
    const topicName = destination.slice(topic.length)
    return name.test(topicName) ? { kind: 'channel', channel: broadcastChannel(topicName), topic: topicName } : undefined
  }
  return undefined
}

/** Where a backend's own messages go: a topic, or a queue of the members that it names. */
export type MessageDestination = { readonly topic: string } | { readonly queue: string }

/** Topics to which backends publish: those of {@link subscribable} to which the system itself does not. */
export const messageTopicPattern = /^\/topic\/(?!all$)[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/
/** Queues of members to which backends publish: those of {@link subscribable} to which the system itself does not. */
export const messageQueuePattern =
  /^\/member\/queue\/(?!(?:notification|read|task(?:\..*)?|session|error)$)[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/
/** What {@link messageDestination} accepts. */
export const messageDestinationPattern = new RegExp(`${messageTopicPattern.source}|${messageQueuePattern.source}`)

/** The same as text, for a refusal. */
export const messageDestinations = `must be ${subscribable}, and none of /topic/all and /member/queue/ with notification, read, task, task.*, session or error`

/** Resolves the destination of a message that is no notification (PROTOCOL.md §4, Messages). Returns undefined for any other text. */
export function messageDestination(destination: string): MessageDestination | undefined {
  if (!messageDestinationPattern.test(destination)) return undefined
  return destination.startsWith(topic)
    ? { topic: destination.slice(topic.length) }
    : { queue: destination.slice(memberQueue.length) }
}

function isSessionQueue(queue: string): queue is SessionQueue {
  return (sessionQueues as readonly string[]).includes(queue)
}
