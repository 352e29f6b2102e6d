import { setImmediate as nextTurn } from 'node:timers/promises'
import { follows, historyLimitOf, type Position, type Publication } from '@tidings/protocol'
import type { History, HistoryPage } from '../redis/broker.ts'

/** Where a follower hands publications on. */
export interface FollowerSink {
  /** Takes the next publication. A promise asks for patience: the next one comes after it, from the history. */
  deliver(publication: Publication): void | Promise<void>
  /** Publications were lost for good: the history no longer holds them. */
  gap(): void
  /** Publications that had not come live were read from the history. */
  repaired?(): void
  /** True when nobody wants the rest any more. */
  readonly ended: boolean
}

const pageLength = 100
/** Publications kept while the history is read. More than that are read from it instead. */
const maxHeld = 64

/**
 * Follows one channel by positions: hands on each publication once and in order, and reads the history where something is missing.
 * Resume, gap repair and waiting for a slow or unacknowledging subscriber are this one mechanism.
 */
export class Follower {
  /** The last publication handed on, or where following began. */
  position: Position
  readonly #channel: string
  readonly #history: History
  readonly #sink: FollowerSink
  /** What came while the history is being read, which positions sort out afterwards; undefined while we are live. */
  #held: Publication[] | undefined = undefined
  /** How many of them had come when the last read began: they are in the history, or were never in it. */
  #known = 0
  #reading = false
  /** The history must be read once more before going live. */
  #again = false
  /** Unix ms; of the last publication, or when following began. */
  #handedOnAt = Date.now()

  constructor(channel: string, position: Position, history: History, sink: FollowerSink) {
    this.#channel = channel
    this.position = position
    this.#history = history
    this.#sink = sink
  }

  /** True while the history is being read, or waits to be. */
  get catchingUp(): boolean {
    return this.#held !== undefined
  }

  /** Takes a live publication. */
  receive(publication: Publication): void {
    if (this.#held) this.#hold(publication)
    else if (this.#isNext(this.position, publication)) this.#handOnLive(publication)
    else if (!this.#isRepeat(this.position, publication)) {
      this.#held = [publication]
      void this.catchUp()
    }
  }

  /** Until `start` we do not know where the channel stands: publications are held, and `catchUp` waits. */
  listen(): void {
    this.hold()
    this.#reading = true
  }

  /** `last`: the channel's newest position, read after we began to listen. What came live since then is handed on, though `last` counts it. */
  start(last: Position): void {
    const early = this.#held ?? []
    const first = early.find(({ position }) => position)?.position
    this.position = first ? { ...first, offset: first.offset - 1 } : last
    // In a turn of its own: those who waited for us join first.
    if (early.length > 0 || this.#again) setImmediate(() => this.#begin(first !== undefined, last))
    else this.#begin(false, last)
  }

  #begin(missing: boolean, last: Position): void {
    this.#reading = false
    if (missing || this.#again) void this.catchUp()
    else this.#goLive(last)
  }

  /** We were live until `at`, Unix ms. Had the channel been silent for so long that its history expired, it stood empty then. */
  expire(at: number): void {
    if (!this.#held && this.#hasExpired(at)) this.position = { epoch: at, offset: 0 }
  }

  /** From now on publications wait for `catchUp`. */
  hold(): void {
    this.#held ??= []
  }

  /** Holds, and answers the first page of what is missing. */
  holdAndRead(): Promise<HistoryPage> {
    this.hold()
    return this.#read()
  }

  /** Hands on what the history holds after our position, then what came meanwhile. While that is going on, it is done once more. */
  async catchUp(first?: HistoryPage | Promise<HistoryPage>): Promise<void> {
    this.hold()
    if (this.#reading) {
      this.#again = true
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
        const patience = this.#handOn(publication)
        if (patience) await patience
      }
      if (this.#sink.ended) return
      if (page.publications.length < pageLength && !this.#again && !this.#readTooEarly()) break
      // What has a position will be read; what has none is nowhere but here.
      if (this.#again) this.#held = (this.#held ?? []).filter(({ position }) => position === undefined)
      this.#again = false
      page = await this.#read()
    }
    this.#reading = false
    this.#goLive(page.last)
  }

  /** `last`: the newest position of the history when it was read last. */
  #goLive(last: Position): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const publication of held) {
      if (this.#held) this.#hold(publication)
      else if (this.#isNext(this.position, publication)) this.#handOnLive(publication)
      else if (!this.#isRepeat(this.position, publication)) {
        // The history was read after it came and does not have it: somebody else numbers it, and ours go on where they were.
        this.#handOnLive(last.offset === 0 ? publication : { ...publication, position: undefined })
      }
    }
  }

  #handOnLive(publication: Publication): void {
    if (this.#isAnew(publication) && !this.#hasExpired(Date.now())) this.#sink.gap()
    const patience = this.#handOn(publication)
    if (patience) void this.catchUp(patience.then(() => this.#read()))
  }

  #handOn(publication: Publication): void | Promise<void> {
    // Before delivering: who is told of a publication must find it passed.
    if (publication.position) this.position = publication.position
    this.#handedOnAt = Date.now()
    return this.#sink.deliver(publication)
  }

  async #read(): Promise<HistoryPage> {
    this.#known = this.#held?.length ?? 0
    const page = await this.#history.after(this.#channel, this.position, pageLength)
    // In a turn of its own: nothing may come between joining a channel and the RECEIPT that says where it stood.
    await nextTurn()
    return page
  }

  #hold(publication: Publication): void {
    const held = this.#held as Publication[]
    if (held.length < maxHeld) held.push(publication)
    else this.#again = true
  }

  /** True when what is held leaves a hole whose other side came after the last read began: the history may have the rest by now. */
  #readTooEarly(): boolean {
    let { position } = this
    for (const [index, publication] of (this.#held ?? []).entries()) {
      if (this.#isRepeat(position, publication)) continue
      if (!this.#isNext(position, publication) && index >= this.#known) return true
      position = publication.position ?? position
    }
    return false
  }

  /** The next of the epoch; the first of a new one; or one without position. */
  #isNext(position: Position, { position: next }: Publication): boolean {
    if (next === undefined || follows(position, next)) return true
    return next.epoch !== position.epoch && next.offset === 1
  }

  /** The history began anew: it was lost with what we may not have seen, or had expired. */
  #isAnew({ position: next }: Publication): boolean {
    return next !== undefined && next.epoch !== this.position.epoch && this.position.offset > 0
  }

  /** Nothing came for as long as a history lives. */
  #hasExpired(at: number): boolean {
    const { seconds = Number.POSITIVE_INFINITY } = historyLimitOf(this.#channel) ?? {}
    return at - this.#handedOnAt > seconds * 1_000
  }

  #isRepeat(position: Position, { position: next }: Publication): boolean {
    return next !== undefined && next.epoch === position.epoch && next.offset <= position.offset
  }
}
