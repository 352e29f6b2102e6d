import type { InboxItem } from '@tidings/client'
import { Store } from '../store.ts'

const slots = [0, 1, 2] as const
const shownForMs = 8_000

/** A visible toast. It keeps its slot, so that it does not move when others appear or go. */
interface ShownToast {
  readonly item: InboxItem
  readonly slot: number
}

/** The visible toasts, oldest first. Each is dismissed after `shownForMs`, except while the list is paused. */
export class ToastList {
  readonly shown = new Store<readonly ShownToast[]>([])
  readonly #timers = new Map<number, ReturnType<typeof setTimeout>>()
  #paused = false
  /** Arrivals for which no slot was free while the list is paused. */
  #waiting: readonly InboxItem[] = []

  /**
   * Shows an item in the lowest free slot, or in place of the oldest toast. While the list is paused, no toast is replaced: the pointer may
   * be about to press it.
   */
  add(item: InboxItem): void {
    const shown = this.shown.get()
    const free = slots.find((slot) => shown.every((toast) => toast.slot !== slot))
    const [oldest] = shown
    if (free === undefined && this.#paused) {
      this.#waiting = [...this.#waiting, item].slice(-slots.length)
      return
    }
    if (free === undefined && oldest) this.#clearTimer(oldest.item.notificationId)
    const kept = free === undefined ? shown.slice(1) : shown
    this.shown.set([...kept, { item, slot: free ?? oldest?.slot ?? 0 }])
    if (!this.#paused) this.#startTimer(item.notificationId)
  }

  readonly dismiss = (notificationId: number): void => {
    this.#clearTimer(notificationId)
    this.shown.set(this.shown.get().filter(({ item }) => item.notificationId !== notificationId))
    // The removed element held the pointer or the focus, and fires no leave or blur event that would resume the list.
    if (this.shown.get().length === 0) this.resume()
  }

  readonly pause = (): void => {
    this.#paused = true
    for (const { item } of this.shown.get()) this.#clearTimer(item.notificationId)
  }

  readonly resume = (): void => {
    this.#paused = false
    for (const { item } of this.shown.get()) this.#startTimer(item.notificationId)
    const waiting = this.#waiting
    this.#waiting = []
    for (const item of waiting) this.add(item)
  }

  clear(): void {
    this.#waiting = []
    for (const { item } of this.shown.get()) this.dismiss(item.notificationId)
  }

  #startTimer(notificationId: number): void {
    this.#clearTimer(notificationId)
    this.#timers.set(
      notificationId,
      setTimeout(() => this.dismiss(notificationId), shownForMs),
    )
  }

  #clearTimer(notificationId: number): void {
    clearTimeout(this.#timers.get(notificationId))
    this.#timers.delete(notificationId)
  }
}
