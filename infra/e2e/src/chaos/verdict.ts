import { type Arrival, broadcastTopic, type Device, isOver, notificationQueue, readQueue } from './device.ts'
import type { Accepted, Load } from './load.ts'

/** A notification as the database has it. `memberId` is undefined for a broadcast. */
export interface Stored {
  readonly notificationId: number
  readonly memberId: number | undefined
  readonly text: string
  readonly read: boolean
}

/** What became of one run. Everything but `accepted`, `refused`, `unanswered` and `told` should be 0. */
export interface Verdict {
  readonly accepted: number
  readonly refused: number
  readonly unanswered: number
  /**
   * Not received by a subscribed device, which was not told of a loss after the post was accepted; or not stored; or a task without its
   * end or its whole text; or read without the device having been told.
   */
  readonly lost: number
  /** One post that came as two notifications, or was stored twice, or a task with more than its text. */
  readonly doubled: number
  /** Received by another member, or received or stored with another id than the response named. */
  readonly misdelivered: number
  /** Received after a post of the same series that was accepted later, positions with holes, or a task whose text is in another order. */
  readonly outOfOrder: number
  readonly told: number
  readonly unexpected: readonly string[]
}

/** Without `stored`, rows and reads are not judged. */
export function judge(load: Load, devices: readonly Device[], stored?: readonly Stored[]): Verdict {
  const sums = { lost: 0, doubled: 0, misdelivered: 0, outOfOrder: 0, told: 0 }
  for (const device of devices) {
    for (const [destination, memberId] of channelsOf(device)) {
      const arrivals = device.arrivals.filter((arrival) => arrival.destination === destination)
      const posts = load.accepted.filter((post) => post.memberId === memberId)
      sums.lost += missing(device, destination, posts, arrivals).length
      sums.doubled += countDoubled(arrivals)
      sums.misdelivered += countMisdelivered(device, posts, arrivals)
      sums.outOfOrder += countOutOfOrder(arrivals)
    }
    const tasks = judgeTasks(load, device)
    sums.lost += tasks.lost + unknownReads(device, stored ?? []).length
    sums.doubled += tasks.doubled
    sums.outOfOrder += tasks.outOfOrder + device.holes
    sums.told += device.timesTold
  }
  const rows = stored ? judgeRows(load, stored) : { lost: 0, doubled: 0, misdelivered: 0 }
  sums.lost += rows.lost
  sums.doubled += rows.doubled
  sums.misdelivered += rows.misdelivered
  const { accepted, refused, unanswered, unexpected } = load
  return { accepted: accepted.length, refused, unanswered, unexpected, ...sums }
}

/** True when each device has, or was told to look for, all that it should have. */
export function isWhole(load: Load, devices: readonly Device[], stored: readonly Stored[]): boolean {
  return devices.every((device) => {
    const posts = (memberId: number | undefined) => load.accepted.filter((post) => post.memberId === memberId)
    const { lost } = judgeTasks(load, device)
    return (
      channelsOf(device).every(([destination, memberId]) => missing(device, destination, posts(memberId)).length === 0) &&
      lost + unknownReads(device, stored).length === 0
    )
  })
}

function channelsOf(device: Device): [destination: string, memberId: number | undefined][] {
  return [
    [notificationQueue, device.memberId],
    [broadcastTopic, undefined],
  ]
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

/** Notifications that the member has read, of which the device knows nothing and was not told to look. */
function unknownReads(device: Device, stored: readonly Stored[]): Stored[] {
  if (device.told.has(readQueue)) return []
  return stored.filter(
    ({ memberId, notificationId, read }) => read && memberId === device.memberId && !device.read.has(notificationId),
  )
}

function judgeTasks(load: Load, device: Device): { lost: number; doubled: number; outOfOrder: number } {
  const sums = { lost: 0, doubled: 0, outOfOrder: 0 }
  for (const { taskId, memberId, text } of load.tasks) {
    if (memberId !== device.memberId) continue
    const state = device.tasks.get(taskId)
    if (!isOver(state) || state?.status !== 'succeeded' || state.text.length < text.length) sums.lost++
    else if (state.text.length > text.length) sums.doubled++
    else if (state.text !== text) sums.outOfOrder++
  }
  return sums
}

function judgeRows(load: Load, stored: readonly Stored[]): { lost: number; doubled: number; misdelivered: number } {
  const nameOf = ({ text, memberId }: Accepted | Stored) => `${text} to ${memberId ?? 'all'}`
  const idsOf = new Map<string, number[]>()
  for (const row of stored) idsOf.set(nameOf(row), [...(idsOf.get(nameOf(row)) ?? []), row.notificationId])
  const sums = { lost: 0, doubled: 0, misdelivered: 0 }
  for (const post of load.accepted) {
    const ids = idsOf.get(nameOf(post)) ?? []
    if (ids.length === 0) sums.lost++
    else if (ids.length > 1) sums.doubled++
    else if (ids[0] !== post.notificationId) sums.misdelivered++
  }
  return sums
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
    if (/^\d/.test(text) && !text.startsWith(`${device.memberId}:`)) return true
    return (idOf.get(text) ?? notificationId) !== notificationId
  }).length
}

/** Texts are the name of a series and the number of the post within it. A repetition of an earlier one does not count. */
function countOutOfOrder(arrivals: readonly Arrival[]): number {
  const seen = new Set<string>()
  const newest = new Map<string, number>()
  let late = 0
  for (const { text } of arrivals) {
    if (seen.has(text)) continue
    seen.add(text)
    const [series = '', count] = text.split(':')
    const last = newest.get(series) ?? 0
    if (Number(count) < last) late++
    newest.set(series, Math.max(last, Number(count)))
  }
  return late
}
