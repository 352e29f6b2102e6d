import type { InboxItem } from '@tidings/client'
import { Cell } from '../cell.ts'

const slots = [0, 1, 2] as const
const shownForMs = 8_000

/** One that is shown, in a place of its own that it keeps: no other one's coming or going moves it. */
export interface ShownToast {
  readonly item: InboxItem
  readonly slot: number
}

/** The latest arrivals, oldest first. Each goes by itself, unless the person is on one of them. */
export class ToastList {
  readonly shown = new Cell<readonly ShownToast[]>([])
  readonly #timers = new Map<number, ReturnType<typeof setTimeout>>()
  #paused = false

  /** In the lowest free place, or in that of the oldest. */
  add(item: InboxItem): void {
    const shown = this.shown.get()
    const free = slots.find((slot) => shown.every((toast) => toast.slot !== slot))
    const [oldest] = shown
    if (free === undefined && oldest) this.#forget(oldest.item.notificationId)
    const kept = free === undefined ? shown.slice(1) : shown
    this.shown.set([...kept, { item, slot: free ?? oldest?.slot ?? 0 }])
    if (!this.#paused) this.#expire(item.notificationId)
  }

  readonly dismiss = (notificationId: number): void => {
    this.#forget(notificationId)
    this.shown.set(this.shown.get().filter(({ item }) => item.notificationId !== notificationId))
    // What had the pointer or the focus is gone, and never says that it left.
    if (this.shown.get().length === 0) this.#paused = false
  }

  readonly pause = (): void => {
    this.#paused = true
    for (const { item } of this.shown.get()) this.#forget(item.notificationId)
  }

  readonly resume = (): void => {
    this.#paused = false
    for (const { item } of this.shown.get()) this.#expire(item.notificationId)
  }

  clear(): void {
    for (const { item } of this.shown.get()) this.dismiss(item.notificationId)
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
