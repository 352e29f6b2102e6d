import type {
  BroadcastMessage,
  BroadcastRemoval,
  NotificationMessage,
  ReadMessage,
  TaskAnnouncement,
  TaskMessage,
} from '@tidings/protocol'

// A program other than notify-api may publish anything on a channel (PROTOCOL.md §3). Of each message, these functions check the fields
// without which the client cannot handle it.

/** Returns a function that handles a body that passes the check, and returns whether it did. */
export function handler<Body extends object>(
  check: (body: object) => body is Body,
  handle: (body: Body) => void,
): (body: unknown) => boolean {
  return (body) => {
    if (typeof body !== 'object' || body === null || !check(body)) return false
    handle(body)
    return true
  }
}

export function isNotification(body: object): body is NotificationMessage | BroadcastMessage {
  const { notificationId, message, redirectPath } = body as Partial<NotificationMessage>
  return isId(notificationId) && typeof message === 'string' && ['string', 'undefined'].includes(typeof redirectPath)
}

/** The fields that name the notifications of a ReadMessage, besides `notificationIds`. */
const named = ['removedIds', 'unreadIds', 'seenIds', 'archivedIds', 'unarchivedIds'] as const

export function isReadMessage(body: object): body is ReadMessage {
  const message = body as {
    readonly [Field in (typeof named)[number] | 'notificationIds' | 'readAt' | 'unreadCount' | 'revision']?: unknown
  }
  const field = named.find((name) => message[name] !== undefined)
  const ids = field ? message[field] : typeof message.readAt === 'string' ? message.notificationIds : undefined
  return areIds(ids) && Number.isSafeInteger(message.unreadCount) && Number.isSafeInteger(message.revision)
}

export function isRemoval(body: object): body is BroadcastRemoval {
  return areIds((body as Partial<BroadcastRemoval>).removedIds)
}

export function isTaskAnnouncement(body: object): body is TaskAnnouncement {
  return ['taskId', 'kind', 'status'].every((field) => typeof (body as Record<string, unknown>)[field] === 'string')
}

const taskMessageTypes: ReadonlySet<unknown> = new Set<TaskMessage['type']>([
  'snapshot',
  'created',
  'progress',
  'append',
  'data',
  'finished',
])

export function isTaskMessage(body: object): body is TaskMessage {
  const { type, data } = body as { type?: unknown; data?: unknown }
  return taskMessageTypes.has(type) && (type !== 'data' || Array.isArray(data))
}

function areIds(ids: unknown): ids is number[] {
  return Array.isArray(ids) && ids.every(isId)
}

function isId(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) > 0
}
