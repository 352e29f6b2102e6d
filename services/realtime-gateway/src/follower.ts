import { follows, type Position, type Publication } from '@tidings/protocol'
import type { History, HistoryPage } from './broker.ts'

/** Where a follower hands publications on. */
export interface FollowerSink {
  /** Takes the next publication. A promise asks for patience: the next one comes after it, from the history. */
  deliver(publication: Publication): void | Promise<void>
  /** Publications were lost for good: the history no longer holds them. */
  gap(): void
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
  #reading = false
  /** The history must be read once more before going live. */
  #again = false

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
    else if (this.#isNext(publication)) {
      const patience = this.#handOn(publication)
      if (patience) void this.catchUp(patience.then(() => this.#read()))
    } else if (!this.#isRepeat(publication)) {
      this.#held = [publication]
      void this.catchUp()
    }
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
    this.#held ??= []
    if (this.#reading) {
      this.#again = true
      return
    }
    this.#reading = true
    let page = await (first ?? this.#read())
    for (;;) {
      if (!page.whole) this.#sink.gap()
      for (const publication of page.publications) {
        if (this.#sink.ended) return
        const patience = this.#handOn(publication)
        if (patience) await patience
      }
      if (this.#sink.ended) return
      if (page.publications.length === 0) this.position = page.last
      if (page.publications.length < pageLength && !this.#again) break
      if (this.#again) this.#held = []
      this.#again = false
      page = await this.#read()
    }
    this.#reading = false
    this.#goLive()
  }

  #goLive(): void {
    const held = this.#held as Publication[]
    this.#held = undefined
    for (const publication of held) {
      if (this.#held) this.#hold(publication)
      else if (!this.#isRepeat(publication)) {
        // The history was read and does not have what lies between: it cannot be had any more.
        if (!this.#isNext(publication)) this.#sink.gap()
        const patience = this.#handOn(publication)
        if (patience) void this.catchUp(patience.then(() => this.#read()))
      }
    }
  }

  #read(): Promise<HistoryPage> {
    return this.#history.after(this.#channel, this.position, pageLength)
  }

  #handOn(publication: Publication): void | Promise<void> {
    // Before delivering: who is told of a publication must find it passed.
    if (publication.position) this.position = publication.position
    return this.#sink.deliver(publication)
  }

  #hold(publication: Publication): void {
    const held = this.#held as Publication[]
    if (held.length < maxHeld) held.push(publication)
    else this.#again = true
  }

  /** The next of our epoch; the first of a new one, as the connection was not interrupted; or one without position. */
  #isNext({ position }: Publication): boolean {
    if (position === undefined || follows(this.position, position)) return true
    return position.epoch !== this.position.epoch && position.offset === 1
  }

  #isRepeat({ position }: Publication): boolean {
    return position !== undefined && position.epoch === this.position.epoch && position.offset <= this.position.offset
  }
}
