import { receivedDestination } from '@tidings/protocol/destination'

/** Ids in one report (PROTOCOL.md §5, SEND). */
const maxIds = 100
/** Ids that wait for a report. Beyond this, the oldest are dropped. */
const maxWaiting = 1_000
/** Reported ids that are remembered. */
const maxReported = 2_000
/** Shortest time between two reports. The first one comes at a random time within it. */
const spacingMs = 1_000
/** How long the server is left alone after it could not take a report. */
const retryMs = 30_000
const isTemporary = (status: number) => status === 429 || status >= 500

/** Reports which notifications have arrived in this browser, so that the server sends no push for them. */
export class ReceivedReports {
  readonly #send: (notificationIds: readonly number[], handled: () => void) => void
  readonly #waiting = new Set<number>()
  readonly #reported = new Set<number>()
  #connected = false
  /** The gateway is of an earlier version, which does not know the destination. */
  #refused = false
  #timer: ReturnType<typeof setTimeout> | undefined
  #sentAt = Number.NEGATIVE_INFINITY
  /** Ids whose RECEIPT is outstanding. */
  #sent: readonly number[] = []
  /** The HTTP API could not take the last report. */
  #failed = false

  constructor(send: (notificationIds: readonly number[], handled: () => void) => void) {
    this.#send = send
  }

  add(notificationIds: readonly number[]): void {
    for (const id of notificationIds) if (!this.#reported.has(id)) this.#waiting.add(id)
    trim(this.#waiting, maxWaiting)
    this.#schedule(Math.random() * spacingMs)
  }

  /** Set when a session is there or has ended. What the last one has not confirmed is repeated. */
  set connected(connected: boolean) {
    this.#connected = connected
    this.#sent = []
    this.#schedule(Math.random() * spacingMs)
  }

  /** The gateway refuses a destination. Returns whether that is the one of the reports, which then end. */
  refused(destination: string): boolean {
    if (destination !== receivedDestination) return false
    this.#refused = true
    return true
  }

  /** An ErrorMessage has arrived: it comes before the RECEIPT. */
  failed(body: unknown): void {
    const { destination, status } = body as { destination?: unknown; status?: unknown }
    this.#failed ||= destination === receivedDestination && typeof status === 'number' && isTemporary(status)
  }

  clear(): void {
    this.#waiting.clear()
    this.#reported.clear()
    this.#sent = []
  }

  #schedule(delayMs: number): void {
    if (this.#timer !== undefined || !this.#connected || this.#refused || this.#sent.length > 0 || this.#waiting.size === 0)
      return
    const spacedMs = this.#sentAt + spacingMs - performance.now()
    this.#timer = setTimeout(() => this.#report(), Math.max(delayMs, spacedMs))
  }

  #report(): void {
    this.#timer = undefined
    if (!this.#connected) return
    const sent = [...this.#waiting].slice(0, maxIds)
    this.#sent = sent
    this.#sentAt = performance.now()
    this.#send(sent, () => {
      if (this.#sent !== sent) return
      this.#sent = []
      if (this.#failed) {
        this.#failed = false
        return this.#schedule(retryMs)
      }
      for (const id of sent) {
        this.#waiting.delete(id)
        this.#reported.add(id)
      }
      trim(this.#reported, maxReported)
      this.#schedule(spacingMs)
    })
  }
}

function trim(ids: Set<number>, max: number): void {
  for (const oldest of ids) {
    if (ids.size <= max) break
    ids.delete(oldest)
  }
}
