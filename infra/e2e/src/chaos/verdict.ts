import { type Arrival, broadcastTopic, type Device, notificationQueue } from './device.ts'
import type { Accepted, Load } from './load.ts'

/** What became of one run. Everything but `accepted`, `refused`, `told` and `recoveredMs` should be 0. */
export interface Verdict {
  readonly accepted: number
  readonly refused: number
  /** Not received by a subscribed device, which was not told of a loss after the post was accepted. */
  readonly lost: number
  /** One post that came as two notifications. */
  readonly doubled: number
  /** Received by another member, or with another id than the response named. */
  readonly misdelivered: number
  /** Received after a post to the same channel that was accepted later, or positions with holes. */
  readonly outOfOrder: number
  readonly told: number
  readonly unexpected: readonly string[]
}

export function judge(load: Load, devices: readonly Device[]): Verdict {
  const sums = { lost: 0, doubled: 0, misdelivered: 0, outOfOrder: 0, told: 0 }
  for (const device of devices) {
    for (const [destination, memberId] of [
      [notificationQueue, device.memberId],
      [broadcastTopic, undefined],
    ] as const) {
      const arrivals = device.arrivals.filter((arrival) => arrival.destination === destination)
      const posts = load.accepted.filter((post) => post.memberId === memberId)
      sums.lost += missing(device, destination, posts, arrivals).length
      sums.doubled += countDoubled(arrivals)
      sums.misdelivered += countMisdelivered(device, posts, arrivals)
      sums.outOfOrder += countOutOfOrder(arrivals)
    }
    sums.outOfOrder += device.holes
    sums.told += device.timesTold
  }
  return { accepted: load.accepted.length, refused: load.refused, unexpected: load.unexpected, ...sums }
}

/** Posts that a device neither received nor will find in its inbox because it was told to look. */
export function missing(
  device: Device,
  destination: string,
  posts: readonly Accepted[],
  arrivals: readonly Arrival[] = device.arrivals.filter((arrival) => arrival.destination === destination),
): Accepted[] {
  const received = new Set(arrivals.map(({ text }) => text))
  const toldAt = device.told.get(destination) ?? Number.NEGATIVE_INFINITY
  return posts.filter(({ text, at }) => !received.has(text) && at > toldAt)
}

function countDoubled(arrivals: readonly Arrival[]): number {
  const ids = new Map<string, Set<number>>()
  for (const { text, notificationId } of arrivals) ids.set(text, (ids.get(text) ?? new Set()).add(notificationId))
  return [...ids.values()].filter((one) => one.size > 1).length
}

function countMisdelivered(device: Device, posts: readonly Accepted[], arrivals: readonly Arrival[]): number {
  const idOf = new Map(posts.map(({ text, notificationId }) => [text, notificationId]))
  return arrivals.filter(({ text, memberId, notificationId }) => {
    if (memberId !== undefined && memberId !== device.memberId) return true
    if (memberId !== undefined && !text.startsWith(`${device.memberId}:`)) return true
    const answered = idOf.get(text)
    return answered !== undefined && answered !== notificationId
  }).length
}

/** Texts end in the number of the post within its channel. A repetition of an earlier one does not count. */
function countOutOfOrder(arrivals: readonly Arrival[]): number {
  const seen = new Set<string>()
  let newest = 0
  let late = 0
  for (const { text } of arrivals) {
    if (seen.has(text)) continue
    seen.add(text)
    const number = Number(text.split(':')[1])
    if (number < newest) late++
    newest = Math.max(newest, number)
  }
  return late
}
