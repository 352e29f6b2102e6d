import type { Position, Publication } from '@tidings/protocol'
import type { Broker } from './broker.ts'
import { Follower, type FollowerSink } from './follower.ts'

/** One channel as it comes from the broker: listened to, positioned, and repairing its own gaps. */
export class Feed {
  /** Resolves when the broker listens and we know where the channel stood. */
  readonly ready: Promise<void>
  #follower: Follower | undefined = undefined
  /** Publications may have come before we knew where the channel stood. */
  #early = false

  constructor(name: string, broker: Broker, sink: FollowerSink) {
    this.ready = this.#open(name, broker, sink)
  }

  /** The last publication handed on; undefined until `ready`. */
  get position(): Position | undefined {
    return this.#follower?.position
  }

  receive(publication: Publication): void {
    if (this.#follower) this.#follower.receive(publication)
    else this.#early = true
  }

  /** The broker was away: what was missed is in the history. */
  repair(): void {
    if (this.#follower) void this.#follower.catchUp()
    else this.#early = true
  }

  async #open(name: string, broker: Broker, sink: FollowerSink): Promise<void> {
    await broker.listen(name)
    // Live before the position: what is published between the two is counted in it or comes after it.
    this.#follower = new Follower(name, await broker.history.last(name), broker.history, sink)
    if (this.#early) this.repair()
  }
}
