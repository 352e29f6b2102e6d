import type { InboxItem } from '@tidings/client'
import { Cell } from '../cell.ts'
import { isProbe } from './probe.ts'

/** One message on its way from the sender to this page. */
export interface Mark {
  readonly notificationId: number
  readonly arrived: boolean
  /** It came well after it was sent: the connection was away. */
  readonly late: boolean
}

export interface LedgerState {
  readonly marks: readonly Mark[]
  readonly arrivedCount: number
  readonly lateCount: number
  readonly inOrder: boolean
}

const lateAfterMs = 1_000
const empty: LedgerState = { marks: [], arrivedCount: 0, lateCount: 0, inOrder: true }

/** Sent against arrived, message by message: whether anything was lost, doubled or out of order. */
export class Ledger {
  readonly state = new Cell(empty)
  readonly #sentAt = new Map<number, number>()
  /** An arrival may well come before the answer to its POST. */
  readonly #arrivedAt = new Map<number, number>()
  readonly #order: number[] = []

  sent(notificationId: number, sentAt: number): void {
    this.#sentAt.set(notificationId, sentAt)
    this.#tell()
  }

  arrived(item: InboxItem): void {
    if (!isProbe(item)) return
    this.#arrivedAt.set(item.notificationId, Date.now())
    this.#order.push(item.notificationId)
    this.#tell()
  }

  clear(): void {
    this.#sentAt.clear()
    this.#arrivedAt.clear()
    this.#order.length = 0
    this.state.set(empty)
  }

  #tell(): void {
    const marks = [...this.#sentAt].map(([notificationId, sentAt]): Mark => {
      const arrivedAt = this.#arrivedAt.get(notificationId)
      const late = arrivedAt !== undefined && arrivedAt - sentAt > lateAfterMs
      return { notificationId, arrived: arrivedAt !== undefined, late }
    })
    const order = this.#order.filter((id) => this.#sentAt.has(id))
    this.state.set({
      marks,
      arrivedCount: order.length,
      lateCount: marks.filter(({ late }) => late).length,
      inOrder: order.every((id, at) => at === 0 || id > (order[at - 1] ?? 0)),
    })
  }
}
