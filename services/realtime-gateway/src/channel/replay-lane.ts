import type { Outlet } from '../socket/transport.ts'

/**
 * Bounds the history that is read for one session: its subscriptions read one page at a time, in turn, and none while the client has
 * more than MAX_REPLAY_BYTES unread. A turn ends with its page, so that no replay waits for the end of another.
 */
export class ReplayLane {
  readonly #outlet: Outlet
  readonly #maxReplayBytes: number
  /** Resolves when the newest turn has ended; undefined when none is running. */
  #newest: Promise<void> | undefined = undefined

  constructor(outlet: Outlet, maxReplayBytes: number) {
    this.#outlet = outlet
    this.#maxReplayBytes = maxReplayBytes
  }

  /** True while the client has too much unread for another page. */
  get behind(): boolean {
    return this.#outlet.bufferedBytes > this.#maxReplayBytes
  }

  /** Resolves when the client has read what was sent, or has left. */
  drained(): Promise<void> {
    return this.#outlet.drained()
  }

  /** Runs `turn` after the turns that were requested earlier, when the client has read enough. The next turn begins when it settles. */
  async run<T>(turn: () => Promise<T>): Promise<T> {
    const earlier = this.#newest
    const result = this.#after(earlier, turn)
    const ended = result.then(ignore, ignore)
    this.#newest = ended
    try {
      return await result
    } finally {
      if (this.#newest === ended) this.#newest = undefined
    }
  }

  async #after<T>(earlier: Promise<void> | undefined, turn: () => Promise<T>): Promise<T> {
    await earlier
    if (this.behind) await this.drained()
    return turn()
  }
}

function ignore(): void {}
