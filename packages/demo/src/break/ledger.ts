import type { InboxItem } from '@tidings/client'
import { Store } from '../store.ts'
import { isProbe } from './probe.ts'

/** One probe: sent, and perhaps received by this page. */
interface LedgerEntry {
  readonly notificationId: number
  readonly arrived: boolean
  /** It arrived more than `lateAfterMs` after it was sent, because the connection was down. */
  readonly late: boolean
}

interface LedgerState {
  readonly entries: readonly LedgerEntry[]
  readonly arrivedCount: number
  readonly lateCount: number
  readonly inOrder: boolean
}

const lateAfterMs = 1_000
const empty: LedgerState = { entries: [], arrivedCount: 0, lateCount: 0, inOrder: true }

/** Compares the probes that were sent with those that arrived: which are missing, and whether any was repeated or reordered. */
export class Ledger {
  readonly state = new Store(empty)
  readonly #sentAt = new Map<number, number>()
  /** Kept apart from `#sentAt`, as a probe can arrive before the response to its POST. */
  readonly #arrivedAt = new Map<number, number>()
  readonly #arrivalOrder: number[] = []

  recordSent(notificationId: number, sentAt: number): void {
    this.#sentAt.set(notificationId, sentAt)
    this.#update()
  }

  /** Records an arrival. Notifications that are not probes are ignored. */
  recordArrival(item: InboxItem): void {
    if (!isProbe(item)) return
    this.#arrivedAt.set(item.notificationId, Date.now())
    this.#arrivalOrder.push(item.notificationId)
    this.#update()
  }

  clear(): void {
    this.#sentAt.clear()
    this.#arrivedAt.clear()
    this.#arrivalOrder.length = 0
    this.state.set(empty)
  }

  #update(): void {
    const entries = [...this.#sentAt].map(([notificationId, sentAt]): LedgerEntry => {
      const arrivedAt = this.#arrivedAt.get(notificationId)
      const late = arrivedAt !== undefined && arrivedAt - sentAt > lateAfterMs
      return { notificationId, arrived: arrivedAt !== undefined, late }
    })
    const order = this.#arrivalOrder.filter((id) => this.#sentAt.has(id))
    this.state.set({
      entries,
      arrivedCount: order.length,
      lateCount: entries.filter(({ late }) => late).length,
      inOrder: order.every((id, index) => index === 0 || id > (order[index - 1] ?? 0)),
    })
  }
}
