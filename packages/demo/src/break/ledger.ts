import type { InboxItem } from '@tidings/client'
import { Store } from '../store.ts'

/** Marks the notifications that the "Break it" card sends. The card counts them, and no toast is shown for them. */
export const probeData = { probe: true } as const

export function isProbe({ data }: InboxItem): boolean {
  return data?.['probe'] === true
}

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
  readonly inOrder: boolean
}

const lateAfterMs = 1_000
const empty: LedgerState = { entries: [], arrivedCount: 0, inOrder: true }

/** Compares the probes that were sent with those that arrived: which are missing, and whether any was repeated or reordered. */
export class Ledger {
  readonly state = new Store(empty)
  readonly #sentAt = new Map<number, number>()
  /** In the order of arrival. A probe can arrive before the response to its POST. */
  #arrivals: readonly { readonly id: number; readonly at: number }[] = []

  recordSent(notificationId: number, sentAt: number): void {
    this.#sentAt.set(notificationId, sentAt)
    this.#update()
  }

  recordArrival({ notificationId }: InboxItem): void {
    this.#arrivals = [...this.#arrivals, { id: notificationId, at: Date.now() }]
    this.#update()
  }

  clear(): void {
    this.#sentAt.clear()
    this.#arrivals = []
    this.#update()
  }

  #update(): void {
    const arrivals = this.#arrivals.filter(({ id }) => this.#sentAt.has(id))
    const entries = [...this.#sentAt].map(([notificationId, sentAt]) => {
      const arrival = arrivals.find(({ id }) => id === notificationId)
      return { notificationId, arrived: arrival !== undefined, late: (arrival?.at ?? 0) - sentAt > lateAfterMs }
    })
    const inOrder = arrivals.every(({ id }, index) => id > (arrivals[index - 1]?.id ?? 0))
    this.state.set({ entries, arrivedCount: arrivals.length, inOrder })
  }
}
