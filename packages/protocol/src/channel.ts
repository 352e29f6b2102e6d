import type { MemberId } from './member-id.ts'

/** Redis channel with commands for all gateways (PROTOCOL.md §3). */
export const controlChannel = 'gateway:control'

/** Returns the channel of a member's queue, for example `member:1:notification` (PROTOCOL.md §3). No member id contains a colon. */
export function memberChannel(memberId: MemberId, queue: string): string {
  return `member:${memberId}:${queue}`
}

/** Returns the channel of a topic, for example `broadcast:all` (PROTOCOL.md §3). */
export function broadcastChannel(topic: string): string {
  return `broadcast:${topic}`
}

/**
 * Returns the key of the list with the recent publications of a channel. The braces make the channel the hash tag of the key, so
 * that channel and history are on the same slot of a Redis Cluster. `prefix` precedes every channel in Redis.
 */
export function historyKey(channel: string, prefix = ''): string {
  return `{${prefix}${channel}}:history`
}

/** Caps of the history of one channel (PROTOCOL.md §3). */
export interface HistoryLimit {
  /** Publications kept. */
  readonly length: number
  /** Seconds after the last publication at which the history expires. */
  readonly seconds: number
}

/** History caps by kind of channel (PROTOCOL.md §3; TASK.md, Channels and history). */
export const historyLimits = {
  notification: { length: 100, seconds: 86_400 },
  read: { length: 20, seconds: 86_400 },
  broadcast: { length: 500, seconds: 86_400 },
  /** Queues of members other than those of the system: messages of `POST /message`. */
  message: { length: 100, seconds: 86_400 },
  /** Commands for gateways. A gateway reads the ones that it missed while it was disconnected from Redis. */
  control: { length: 1_000, seconds: 3_600 },
  /** Announcements of started and finished tasks of a member. */
  task: { length: 50, seconds: 86_400 },
  /** All events of one task. Folded, they are the snapshot for a subscriber that joins late. */
  taskEvents: { length: 10_000, seconds: 3_600 },
} as const satisfies Record<string, HistoryLimit>

/** Returns the history caps of a channel, or undefined if channels of this kind have no history. */
export function historyLimitOf(channel: string): HistoryLimit | undefined {
  if (channel === controlChannel) return historyLimits.control
  if (channel.startsWith('broadcast:')) return historyLimits.broadcast
  if (!channel.startsWith('member:')) return undefined
  const queue = channel.slice(channel.lastIndexOf(':') + 1)
  if (queue === 'notification' || queue === 'read' || queue === 'task') return historyLimits[queue]
  return queue.startsWith('task.') ? historyLimits.taskEvents : historyLimits.message
}
