/** Names of Redis channels (PROTOCOL.md §3). */

export const controlChannel = 'gateway:control'

export function memberChannel(memberId: number, queue: string): string {
  return `member:${memberId}:${queue}`
}

export function broadcastChannel(topic: string): string {
  return `broadcast:${topic}`
}

/** The list that holds a channel's recent publications. The braces put channel and history on one cluster slot. */
export function historyKey(channel: string): string {
  return `{${channel}}:history`
}

/** Bounds of one channel's history: publications kept, and seconds it outlives its last publication. */
export interface HistoryLimit {
  readonly length: number
  readonly seconds: number
}

/** History bounds by kind of channel. */
export const historyLimits = {
  notification: { length: 100, seconds: 86_400 },
  read: { length: 20, seconds: 86_400 },
  broadcast: { length: 500, seconds: 86_400 },
  /** Orders to the gateways: one whose connection was cut still obeys them. */
  control: { length: 1_000, seconds: 3_600 },
  /** Started and finished tasks of a member. */
  task: { length: 50, seconds: 86_400 },
  /** One task, whole from its first event: folded, it is the snapshot of somebody who joins late. */
  taskEvents: { length: 10_000, seconds: 3_600 },
} as const satisfies Record<string, HistoryLimit>

/** How much history a channel keeps; undefined for kinds that have none. */
export function historyLimitOf(channel: string): HistoryLimit | undefined {
  if (channel === controlChannel) return historyLimits.control
  if (channel.startsWith('broadcast:')) return historyLimits.broadcast
  if (!channel.startsWith('member:')) return undefined
  const queue = channel.slice(channel.lastIndexOf(':') + 1)
  if (queue === 'notification' || queue === 'read' || queue === 'task') return historyLimits[queue]
  return queue.startsWith('task.') ? historyLimits.taskEvents : undefined
}
