import type { ClientCommand, Frame } from '@tidings/protocol'
import type { Transport } from '../socket/transport.ts'

/** Handles the frames of a queue. */
export interface FrameSink {
  /** True when the frames that are left are dropped. */
  readonly closed: boolean
  /** Handles one frame. Never throws, nor rejects; the next frame waits for a returned promise. */
  handle(frame: Frame<ClientCommand>): void | Promise<void>
  /** Reading from the client continues: its silence since the pause does not count. */
  onActivity(): void
}

/** With this many frames waiting, reading stops until they are handled. */
const maxQueuedFrames = 64

/** Passes the frames of one session on strictly in order, one at a time, also across awaits. */
export class FrameQueue {
  readonly #sink: FrameSink
  readonly #transport: Pick<Transport, 'pause' | 'resume'>
  #waiting: Frame<ClientCommand>[] | undefined = undefined
  #busy = false
  #paused = false

  constructor(sink: FrameSink, transport: Pick<Transport, 'pause' | 'resume'>) {
    this.#sink = sink
    this.#transport = transport
  }

  /** True while reading is stopped. */
  get paused(): boolean {
    return this.#paused
  }

  push(frame: Frame<ClientCommand>): void {
    if (!this.#busy) return this.#handle(frame)
    this.#waiting ??= []
    if (this.#waiting.push(frame) < maxQueuedFrames || this.#paused) return
    this.#paused = true
    this.#transport.pause()
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
    this.#sink.onActivity()
    this.#transport.resume()
  }
}
