import type { InboxItem } from '@tidings/client'
import { Cell } from '../cell.ts'

const shownAtOnce = 3
const shownForMs = 8_000

/** The latest arrivals, oldest first. Each goes by itself, unless the person is on one of them. */
export class ToastList {
  readonly items = new Cell<readonly InboxItem[]>([])
  readonly #timers = new Map<number, ReturnType<typeof setTimeout>>()
  #paused = false

  add(item: InboxItem): void {
    const kept = this.items.get().slice(1 - shownAtOnce)
    for (const { notificationId } of this.items.get()) {
      if (!kept.some((each) => each.notificationId === notificationId)) this.#forget(notificationId)
    }
    this.items.set([...kept, item])
    if (!this.#paused) this.#expire(item.notificationId)
  }

  readonly dismiss = (notificationId: number): void => {
    this.#forget(notificationId)
    this.items.set(this.items.get().filter((item) => item.notificationId !== notificationId))
    // What had the pointer or the focus is gone, and never says that it left.
    if (this.items.get().length === 0) this.#paused = false
  }

  readonly pause = (): void => {
    this.#paused = true
    for (const { notificationId } of this.items.get()) this.#forget(notificationId)
  }

  readonly resume = (): void => {
    this.#paused = false
    for (const { notificationId } of this.items.get()) this.#expire(notificationId)
  }

  clear(): void {
    for (const { notificationId } of this.items.get()) this.dismiss(notificationId)
  }

  #expire(notificationId: number): void {
    this.#forget(notificationId)
    this.#timers.set(
      notificationId,
      setTimeout(() => this.dismiss(notificationId), shownForMs),
    )
  }

  #forget(notificationId: number): void {
    clearTimeout(this.#timers.get(notificationId))
    this.#timers.delete(notificationId)
  }
}
