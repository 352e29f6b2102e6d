import { broadcastChannel, memberChannel } from './channel.ts'

/** What a client may name in SUBSCRIBE and what stands behind it (PROTOCOL.md §5). */
export type Destination =
  /** Carried by Redis: every session subscribed to it anywhere has each publication. */
  | {
      readonly kind: 'channel'
      readonly channel: string
      /** Set where one task is told of, which begins with a snapshot. */
      readonly taskId?: string
    }
  /** The gateway's own queue to this one session. */
  | { readonly kind: 'session'; readonly queue: SessionQueue }

export const sessionQueues = ['session', 'error'] as const
export type SessionQueue = (typeof sessionQueues)[number]

export const sessionDestination = '/member/queue/session'
export const errorDestination = '/member/queue/error'
export const notificationDestination = '/member/queue/notification'
export const readDestination = '/member/queue/read'
export const broadcastDestination = '/topic/all'

/** What an ERROR tells somebody who named something else. */
export const subscribable = '/member/queue/{name} and /topic/{name}, where name is [A-Za-z0-9][A-Za-z0-9._-]{0,127}'

const name = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/
const taskQueue = /^task\.([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/
const memberQueue = '/member/queue/'
const topic = '/topic/'

/**
 * Resolves a SUBSCRIBE destination for one member; undefined when there is no such destination. The member id comes from the
 * session's principal, so nobody can name another member's queue.
 */
export function resolveDestination(destination: string, memberId: number): Destination | undefined {
  if (destination.startsWith(memberQueue)) {
    const queue = destination.slice(memberQueue.length)
    if (!name.test(queue)) return undefined
    if (isSessionQueue(queue)) return { kind: 'session', queue }
    const taskId = taskQueue.exec(queue)?.[1]
    return { kind: 'channel', channel: memberChannel(memberId, queue), ...(taskId === undefined ? {} : { taskId }) }
  }
  if (destination.startsWith(topic)) {
    const topicName = destination.slice(topic.length)
    return name.test(topicName) ? { kind: 'channel', channel: broadcastChannel(topicName) } : undefined
  }
  return undefined
}

function isSessionQueue(queue: string): queue is SessionQueue {
  return (sessionQueues as readonly string[]).includes(queue)
}
