import { setImmediate as nextTurn } from 'node:timers/promises'
import { follows, historyLimitOf, type Position, type Publication } from '@tidings/protocol'
import type { Broker, History, HistoryPage, Receiver } from '../redis/broker.ts'

/** Takes the publications of a cursor. */
export interface CursorSink {
  /** Takes the next publication. The one after a returned promise follows when the promise resolves, read from the history. */
  deliver(publication: Publication): void | Promise<void>
  /** Publications were lost for good: the history no longer holds them. */
  gap(): void
  /** Publications that had not arrived live were read from the history. */
  repaired?(): void
  /** True when the sink takes no more. */
  readonly ended: boolean
}

/** Publications in one read of the history. */
const pageLength = 100
/** Publications buffered while the history is read. What exceeds them is read from the history instead. */
const maxBuffered = 64

/** Position of a cursor that does not know yet where its channel stands. */
export const nowhere: Position = { epoch: 0, offset: 0 }

/**
 * Follows one channel by position: delivers each publication once and in order, and reads the history where something is missing.
 * Resume, gap repair, and waiting for a client that reads or acknowledges slowly are this one mechanism.
 *
 * ```text
 *              hole, catchUp, buffer,
 *  ┌──────┐    or a promise of the sink     ┌───────────┐          ┌────────────────┐
 *  │ live ├────────────────────────────────▶│ buffering │          │ awaiting start │◀── awaitStart
 *  └──▲───┘                                 └──┬─────▲──┘          └──┬──────────┬──┘
 *     │    resumeLive: history read to the end │     │ startAt, and   │          │ startAt, and
 *     ├────────────────────────────────────────┘     │ some arrived   │          │ nothing arrived
 *     │                                              └────────────────┘          │
 *     └──────────────────────────────────────────────────────────────────────────┘
 * ```
 *
 * - live: a publication is delivered when it arrives.
 * - buffering: what arrives is buffered while the history is read; positions then drop the repeats.
 * - awaiting start: what arrives is buffered until the position of the channel is known.
 */
export class Cursor implements Receiver {
  /** The last publication delivered, or where following began. */
  position: Position
  readonly #channel: string
  readonly #history: History
  readonly #sink: CursorSink
  /** Undefined while live. */
  #buffered: Publication[] | undefined = undefined
  /** How many of them arrived before the last read began: the history holds these, or never will. */
  #bufferedBeforeRead = 0
  /** True while the history is read, and while awaiting start. */
  #reading = false
  /** The history must be read once more before going live. */
  #readAgain = false
  /** Unix ms of the last delivery, or of the beginning. */
  #deliveredAt = Date.now()

  constructor(channel: string, position: Position, history: History, sink: CursorSink) {
    this.#channel = channel
    this.position = position
    this.#history = history
    this.#sink = sink
  }

  /** True while publications are buffered rather than delivered. */
  get catchingUp(): boolean {
    return this.#buffered !== undefined
  }

  /** Takes a live publication. */
  receive(publication: Publication): void {
    if (this.#buffered) this.#keep(publication)
    else if (this.#isNext(this.position, publication)) this.#deliverLive(publication)
    else if (!this.#isRepeat(this.position, publication)) {
      this.#buffered = [publication]
      void this.catchUp()
    }
  }

  /** Receives the channel from the broker (`Broker.listen`). Resolves when the position of the channel is known. */
  async listen(broker: Broker, onRefused?: () => void): Promise<void> {
    this.awaitStart()
    this.startAt(await broker.listen(this.#channel, this, onRefused))
  }

  /** Until `startAt` the position of the channel is unknown: publications are buffered, and `catchUp` waits. */
  awaitStart(): void {
    this.buffer()
    this.#reading = true
  }

  /**
   * Continues from `last`, the newest position of the channel, which was read after listening began. What arrived live since then is
   * delivered, although `last` includes it.
   */
  startAt(last: Position): void {
    const early = this.#buffered ?? []
    const first = early.find(({ position }) => position)?.position
    this.position = first ? { ...first, offset: first.offset - 1 } : last
    const start = () => {
      this.#reading = false
      if (first || this.#readAgain) void this.catchUp()
      else this.#resumeLive(last)
    }
    // In the next turn: subscriptions that wait for this cursor join before the first delivery.
    if (early.length > 0 || this.#readAgain) setImmediate(start)
    else start()
  }

  /** Repairs what was missed while the broker was away. The cursor was live until `lostAt`, Unix ms. */
  repair(lostAt: number): void {
    this.expire(lostAt)
    void this.catchUp()
  }

  /** The cursor was live until `at`, Unix ms. If the channel had been silent so long that its history expired, it was empty then. */
  expire(at: number): void {
    if (!this.#buffered && this.#hasExpired(at)) this.position = { epoch: at, offset: 0 }
  }

  /** Buffers publications until `catchUp`. */
  buffer(): void {
    this.#buffered ??= []
  }

  /** Buffers, and resolves to the first page of what is missing. */
  bufferAndRead(): Promise<HistoryPage> {
    this.buffer()
    return this.#read()
  }

  /**
   * Delivers what the history holds after the position, then what was buffered. A call during a catch-up makes it read the history
   * once more. `first`: a page that was read already.
   */
  async catchUp(first?: HistoryPage | Promise<HistoryPage>): Promise<void> {
    this.buffer()
    if (this.#reading) {
      this.#readAgain = true
      return
    }
    this.#reading = true
    let page = await (first ?? this.#read())
    for (;;) {
      if (!page.whole) this.#sink.gap()
      if (page.publications.length > 0) this.#sink.repaired?.()
      else this.position = page.last
      for (const publication of page.publications) {
        if (this.#sink.ended) return
        const delivered = this.#deliver(publication)
        if (delivered) await delivered
      }
      if (this.#sink.ended) return
      if (page.publications.length < pageLength && !this.#readAgain && !this.#readTooEarly()) break
      // Publications with a position will be read; those without are nowhere but in the buffer.
      if (this.#readAgain) this.#buffered = (this.#buffered ?? []).filter(({ position }) => position === undefined)
      this.#readAgain = false
      page = await this.#read()
    }
    this.#reading = false
    this.#resumeLive(page.last)
  }

  /** Delivers what was buffered. `last`: the newest position of the history when it was read last. */
  #resumeLive(last: Position): void {
    const buffered = this.#buffered ?? []
    this.#buffered = undefined
    for (const publication of buffered) {
      if (this.#buffered) this.#keep(publication)
      else if (this.#isNext(this.position, publication)) this.#deliverLive(publication)
      else if (!this.#isRepeat(this.position, publication)) {
        // The history was read after it arrived and does not hold it: it was numbered by a foreign publisher. Keep our own position.
        this.#deliverLive(last.offset === 0 ? publication : { ...publication, position: undefined })
      }
    }
  }

  #deliverLive(publication: Publication): void {
    if (this.#isNewHistory(publication) && !this.#hasExpired(Date.now())) this.#sink.gap()
    const delivered = this.#deliver(publication)
    if (delivered) void this.catchUp(delivered.then(() => this.#read()))
  }

  #deliver(publication: Publication): void | Promise<void> {
    // Advance first: the sink may read `position`.
    if (publication.position) this.position = publication.position
    this.#deliveredAt = Date.now()
    return this.#sink.deliver(publication)
  }

  async #read(): Promise<HistoryPage> {
    this.#bufferedBeforeRead = this.#buffered?.length ?? 0
    const page = await this.#history.after(this.#channel, this.position, pageLength)
    // In the next turn: nothing may be delivered between joining a channel and the RECEIPT that states its position.
    await nextTurn()
    return page
  }

  #keep(publication: Publication): void {
    const buffered = this.#buffered as Publication[]
    if (buffered.length < maxBuffered) buffered.push(publication)
    else this.#readAgain = true
  }

  /** True when the buffer has a hole whose far side arrived after the last read began: the history may hold the rest by now. */
  #readTooEarly(): boolean {
    let { position } = this
    for (const [index, publication] of (this.#buffered ?? []).entries()) {
      if (this.#isRepeat(position, publication)) continue
      if (!this.#isNext(position, publication) && index >= this.#bufferedBeforeRead) return true
      position = publication.position ?? position
    }
    return false
  }

  /** True for the next of the epoch, for the first of a new epoch, and for a publication without position. */
  #isNext(position: Position, { position: next }: Publication): boolean {
    if (next === undefined || follows(position, next)) return true
    return next.epoch !== position.epoch && next.offset === 1
  }

  /** True when the history began anew: it was lost, with publications that may not have arrived, or it had expired. */
  #isNewHistory({ position: next }: Publication): boolean {
    return next !== undefined && next.epoch !== this.position.epoch && this.position.offset > 0
  }

  /** True when nothing was delivered for as long as a history lives. */
  #hasExpired(at: number): boolean {
    const { seconds = Number.POSITIVE_INFINITY } = historyLimitOf(this.#channel) ?? {}
    return at - this.#deliveredAt > seconds * 1_000
  }

  #isRepeat(position: Position, { position: next }: Publication): boolean {
    return next !== undefined && next.epoch === position.epoch && next.offset <= position.offset
  }
}
