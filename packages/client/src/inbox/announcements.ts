import { AnnouncedIds } from './announced-ids.ts'
import type { InboxItem } from './inbox.ts'

/**
 * Announces each notification to the application once. While lost notifications are being read over HTTP, arrivals are held, so that
 * they are announced after the older ones.
 */
export class Announcements {
  readonly #find: (notificationId: number) => InboxItem | undefined
  readonly #announce: (item: InboxItem) => void
  readonly #announced = new AnnouncedIds()
  #held: number[] | undefined

  constructor(find: (notificationId: number) => InboxItem | undefined, announce: (item: InboxItem) => void) {
    this.#find = find
    this.#announce = announce
  }

  get holding(): boolean {
    return this.#held !== undefined
  }

  /** The id that was announced first; undefined when there is none. */
  get first(): number | undefined {
    return this.#announced.first
  }

  /** Announces an arrival, unless arrivals are held. */
  arrived(notificationId: number): void {
    if (this.#held) this.#held.push(notificationId)
    else this.#announceAll([notificationId])
  }

  /** Holds arrivals from now on. */
  hold(): void {
    this.#held ??= []
  }

  /** Announces held arrivals together with what was read, oldest first, and holds no longer. */
  releaseWith(read: readonly number[]): void {
    this.#announceAll([...(this.#held ?? []), ...read].toSorted((a, b) => a - b))
    this.#held = undefined
  }

  /** Announces held arrivals, in the order they arrived, and holds no longer. */
  release(): void {
    this.#announceAll(this.#held ?? [])
    this.#held = undefined
  }

  clear(): void {
    this.#announced.clear()
    this.#held = undefined
  }

  #announceAll(notificationIds: readonly number[]): void {
    for (const notificationId of notificationIds) {
      const item = this.#find(notificationId)
      if (item && this.#announced.add(notificationId)) this.#announce(item)
    }
  }
}
