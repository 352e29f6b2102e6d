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
} as const satisfies Record<string, HistoryLimit>

/** How much history a channel keeps; undefined for orders and for kinds that have none. */
export function historyLimitOf(channel: string): HistoryLimit | undefined {
  const [kind, , queue] = channel.split(':')
  if (kind === 'broadcast') return historyLimits.broadcast
  if (kind === 'member' && (queue === 'notification' || queue === 'read')) return historyLimits[queue]
  return undefined
}
