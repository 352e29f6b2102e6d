import type { ClientCommand, Frame } from '@tidings/protocol'

/** Whose frames they are. */
export interface FrameSink {
  readonly closed: boolean
  /** Handles one frame and never throws; a promise asks the next one to wait. */
  handle(frame: Frame<ClientCommand>): void | Promise<void>
  /** No more bytes, please; and again. */
  pause(): void
  resume(): void
}

/** Frames that wait while an earlier one is being handled; past it we stop reading. */
const maxQueuedFrames = 64

/** Hands on the frames of one session strictly one after the other, also across awaits. */
export class FrameQueue {
  readonly #sink: FrameSink
  #waiting: Frame<ClientCommand>[] | undefined = undefined
  #busy = false
  #paused = false

  constructor(sink: FrameSink) {
    this.#sink = sink
  }

  /** True while the transport is not being read, on our account. */
  get paused(): boolean {
    return this.#paused
  }

  push(frame: Frame<ClientCommand>): void {
    if (!this.#busy) return this.#handle(frame)
    this.#waiting ??= []
    if (this.#waiting.push(frame) < maxQueuedFrames || this.#paused) return
    this.#paused = true
    this.#sink.pause()
  }

  #handle(frame: Frame<ClientCommand>): void {
    const handled = this.#sink.handle(frame)
    if (handled instanceof Promise) void this.#await(handled)
  }

  async #await(handled: Promise<void>): Promise<void> {
    this.#busy = true
    await handled
    this.#busy = false
    this.#next()
  }

  #next(): void {
    while (!this.#busy && !this.#sink.closed) {
      const frame = this.#waiting?.shift()
      if (!frame) break
      this.#handle(frame)
    }
    if (this.#waiting?.length !== 0) return
    this.#waiting = undefined
    if (!this.#paused) return
    this.#paused = false
    this.#sink.resume()
  }
}
