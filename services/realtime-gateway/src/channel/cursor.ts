import { setImmediate as nextTurn } from 'node:timers/promises'
import { emptyAt, follows, historyLimitOf, type Position, type Publication } from '@tidings/protocol'
import type { Broker, History, HistoryPage, Receiver } from '../redis/broker.ts'
import { hasMore } from '../redis/history-page.ts'
import type { ReplayLane } from './replay-lane.ts'

/** Takes the publications of a cursor. */
export interface CursorSink {
  /**
   * Takes the next publication. A returned promise suspends delivery until it resolves; the following ones are read from the history
   * then, and no page is kept meanwhile.
   */
  deliver(publication: Publication): void | Promise<void>
  /** Publications were lost: the history no longer holds them. */
  gap(): void
  /** Publications that had not arrived live were read from the history. */
  repaired?(): void
  /** True when the sink takes no further publications. */
  readonly ended: boolean
}

/** Most publications in one read of the history. It ends earlier when they are large. */
const pageLength = 500
/** Publications, and bytes of them, buffered while the history is read. What exceeds either is read from the history instead. */
const maxBuffered = 64
const maxBufferedBytes = 262_144

/** What follows the delivery of one page. */
interface PageEnd {
  /** The newest position of the channel, as the page gave it. */
  readonly last: Position
  /** True when the history must be read again before going live. */
  readonly more: boolean
  /** Set when the sink waits, and the rest of the page was dropped. */
  readonly pause?: Promise<void>
}

/** Position of a cursor before the position of its channel is known. */
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
  /** Position of the last publication delivered, or the one at which the cursor began. */
  position: Position
  readonly #channel: string
  readonly #history: History
  readonly #sink: CursorSink
  readonly #lane: ReplayLane | undefined
  /** Undefined while live. */
  #buffered: Publication[] | undefined = undefined
  /** How many of them arrived before the last read began: the history holds these, or never will. */
  #bufferedBeforeRead = 0
  /** True while the history is read, and while awaiting start. */
  #reading = false
  /** The history must be read once more before going live. */
  #readAgain = false
  /** True between the reads of a catch-up: the next one will hold what arrives. */
  #beforeRead = false
  /** Unix ms of the last delivery, or of the beginning. */
  #deliveredAt = Date.now()

  /** `lane`: that of the session, when the sink is one of its subscriptions. */
  constructor(channel: string, position: Position, history: History, sink: CursorSink, lane?: ReplayLane) {
    this.#channel = channel
    this.position = position
    this.#history = history
    this.#sink = sink
    this.#lane = lane
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
   * Continues from `last`, the newest position of the channel, which was read after listening began. Publications that arrived live
   * since then are delivered, even those that `last` already includes.
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
    // Start in the next turn, so that subscriptions that wait for this cursor join before the first delivery.
    if (early.length > 0 || this.#readAgain) setImmediate(start)
    else start()
  }

  /** Repairs what was missed while the broker was away. The cursor was live until `lostAt`, Unix ms. */
  repair(lostAt: number): void {
    this.expire(lostAt)
    void this.catchUp()
  }

  /** Resets the position if the history of a silent channel had expired by `at` (Unix ms), until when the cursor was live. */
  expire(at: number): void {
    if (!this.#buffered && this.#hasExpired(at)) this.position = emptyAt(at, this.position)
  }

  /** Buffers publications until `catchUp`. */
  buffer(): void {
    this.#buffered ??= []
  }

  /** Buffers, and resolves to the first page of what is missing. */
  bufferAndRead(limit?: number): Promise<HistoryPage> {
    this.buffer()
    return this.#read(limit)
  }

  /**
   * Delivers what the history holds after the position, then what was buffered. A call during a catch-up makes it read the history
   * once more. `first`: a page that was read already.
   */
  catchUp(first?: HistoryPage): Promise<void> {
    this.buffer()
    if (this.#reading) {
      this.#readAgain = true
      return Promise.resolve()
    }
    this.#reading = true
    // Read again in its turn when the client has too much unread by now.
    return this.#readOn(first && !this.#lane?.behind ? this.#deliverPage(first) : undefined)
  }

  /** Reads and delivers page after page, then goes live. No page is referenced while the sink waits. */
  async #readOn(first: PageEnd | undefined): Promise<void> {
    let end = first ?? (await this.#readPage())
    while (!this.#sink.ended && end.more) {
      if (end.pause) {
        this.#awaitRead()
        await end.pause
      }
      if (this.#readAgain) this.#dropBuffered()
      this.#readAgain = false
      end = await this.#readPage()
    }
    if (this.#sink.ended) return
    this.#reading = false
    this.#resumeLive(end.last)
  }

  /** Reads and delivers one page, when it is the turn of this cursor. */
  #readPage(): Promise<PageEnd> {
    if (!this.#lane) return this.#read().then((page) => this.#deliverPage(page))
    this.#awaitRead()
    return this.#lane.run(async () =>
      this.#sink.ended ? { last: this.position, more: false } : this.#deliverPage(await this.#read()),
    )
  }

  #deliverPage(page: HistoryPage): PageEnd {
    if (this.#sink.ended) return { last: page.last, more: false }
    if (!page.whole) this.#sink.gap()
    if (page.publications.length > 0) this.#sink.repaired?.()
    else this.position = page.last
    for (const publication of page.publications) {
      const pause = this.#deliver(publication)
      if (pause) return { last: page.last, more: true, pause }
      if (this.#sink.ended) break
    }
    return { last: page.last, more: hasMore(page) || this.#readAgain || this.#readTooEarly() }
  }

  /** Delivers what was buffered. `last`: the newest position of the history when it was read last. */
  #resumeLive(last: Position): void {
    const buffered = this.#buffered ?? []
    this.#buffered = undefined
    for (const publication of buffered) {
      if (this.#buffered) this.#keep(publication)
      else if (this.#isNext(this.position, publication)) this.#deliverLive(publication)
      else if (!this.#isRepeat(this.position, publication)) {
        // The history was read after it arrived and does not hold it: a foreign publisher chose its position, so keep ours.
        this.#deliverLive(last.offset === 0 ? publication : { ...publication, position: undefined })
      }
    }
  }

  #deliverLive(publication: Publication): void {
    if (this.#isNewHistory(publication) && !this.#hasExpired(Date.now())) this.#sink.gap()
    const delivered = this.#deliver(publication)
    if (!delivered) return
    this.buffer()
    this.#reading = true
    void this.#readOn({ last: this.position, more: true, pause: delivered })
  }

  #deliver(publication: Publication): void | Promise<void> {
    // Advance first: the sink may read `position`.
    if (publication.position) this.position = publication.position
    this.#deliveredAt = Date.now()
    return this.#sink.deliver(publication)
  }

  async #read(limit = pageLength): Promise<HistoryPage> {
    this.#beforeRead = false
    this.#bufferedBeforeRead = this.#buffered?.length ?? 0
    const page = await this.#history.after(this.#channel, this.position, limit)
    // Continue in the next turn: nothing may be delivered before the RECEIPT of a SUBSCRIBE, which states its position.
    await nextTurn()
    return page
  }

  #keep(publication: Publication): void {
    if (this.#beforeRead && publication.position) return
    const buffered = this.#buffered as Publication[]
    const bytes = buffered.reduce((sum, { body }) => sum + body.length, publication.body.length)
    if (buffered.length < maxBuffered && bytes <= maxBufferedBytes) buffered.push(publication)
    else this.#readAgain = true
  }

  /** A read will follow: until then nothing is kept that it will hold. */
  #awaitRead(): void {
    this.#beforeRead = true
    this.#dropBuffered()
  }

  /** Publications with a position will be read again; those without one are only in the buffer. */
  #dropBuffered(): void {
    this.#buffered = (this.#buffered ?? []).filter(({ position }) => position === undefined)
  }

  /** True when a hole in the buffer ends with a publication that arrived after the last read began: the history may fill it by now. */
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

  /** True for a new epoch: the history was lost, with publications that may not have arrived, or had expired. */
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
