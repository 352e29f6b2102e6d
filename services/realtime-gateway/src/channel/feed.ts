import type { Position, Publication } from '@tidings/protocol'
import type { Broker } from '../redis/broker.ts'
import { Follower, type FollowerSink } from './cursor.ts'

/** One channel as it comes from the broker: listened to, positioned, and repairing its own gaps. */
export class Feed {
  /** Resolves when the broker listens and we know where the channel stood. */
  readonly ready: Promise<void>
  readonly #follower: Follower

  constructor(name: string, broker: Broker, sink: FollowerSink) {
    this.#follower = new Follower(name, nowhere, broker.history, sink)
    this.#follower.listen()
    this.ready = broker.listen(name).then((last) => this.#follower.start(last))
  }

  /** The last publication handed on; nowhere until `ready`. */
  get position(): Position {
    return this.#follower.position
  }

  receive(publication: Publication): void {
    this.#follower.receive(publication)
  }

  /** The broker was away since `lostAt`: what was missed is in the history. */
  repair(lostAt: number): void {
    this.#follower.expire(lostAt)
    void this.#follower.catchUp()
  }
}

const nowhere: Position = { epoch: 0, offset: 0 }
