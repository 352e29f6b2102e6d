import type { InboxItem } from './inbox.ts'

/** Announced ids that are remembered. */
const maxIds = 2_000

/**
 * Announces each notification to the application once. While lost notifications are being read over HTTP, arrivals are held, so that
 * they are announced after the older ones. Repeats are recognized among the latest 2,000.
 */
export class Announcements {
  readonly #find: (notificationId: number) => InboxItem | undefined
  readonly #announce: (item: InboxItem) => void
  readonly #announcedIds = new Set<number>()
  #heldIds: number[] | undefined

  constructor(find: (notificationId: number) => InboxItem | undefined, announce: (item: InboxItem) => void) {
    this.#find = find
    this.#announce = announce
  }

  get holding(): boolean {
    return this.#heldIds !== undefined
  }

  /** The id that was announced first, of those remembered. */
  get first(): number | undefined {
    const [first] = this.#announcedIds
    return first
  }

  /** Announces an arrival, unless arrivals are held. */
  arrived(notificationId: number): void {
    if (this.#heldIds) this.#heldIds.push(notificationId)
    else this.#announceAll([notificationId])
  }

  /** Holds arrivals from now on. */
  hold(): void {
    this.#heldIds ??= []
  }

  /** Announces held arrivals and holds no longer: oldest first together with `read`, or in order of arrival without it. */
  release(read?: readonly number[]): void {
    const held = this.#heldIds ?? []
    this.#announceAll(read ? [...held, ...read].toSorted((a, b) => a - b) : held)
    this.#heldIds = undefined
  }

  /** Forgets everything, announced and held. */
  clear(): void {
    this.#announcedIds.clear()
    this.#heldIds = undefined
  }

  #announceAll(notificationIds: readonly number[]): void {
    for (const notificationId of notificationIds) {
      const item = this.#find(notificationId)
      if (!item || this.#announcedIds.has(notificationId)) continue
      this.#announcedIds.add(notificationId)
      if (this.#announcedIds.size > maxIds && this.first !== undefined) this.#announcedIds.delete(this.first)
      this.#announce(item)
    }
  }
}
