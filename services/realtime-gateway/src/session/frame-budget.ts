import { Close } from '@tidings/protocol'
import { type Refusal, refuse } from './outcome.ts'

/** Cost of a frame. */
export const frameCost = 1
/** Cost of a WebSocket message: not free, so that cutting frames into many messages does not evade the limit. */
export const messageCost = 0.1
/** The budget holds this many seconds of frames, which is the largest burst. */
const burstSeconds = 2

/** Refusal of a client that has spent its budget. */
export function flood(maxFramesPerSecond: number): Refusal {
  return refuse(Close.flood, `more than ${maxFramesPerSecond} frames a second (MAX_FRAMES_PER_SECOND)`)
}

/** A token bucket: the frames that a session may still send. */
export class FrameBudget {
  readonly #perSecond: number
  #left: number
  #at: number

  /** `now` in ms, of any clock. */
  constructor(perSecond: number, now: number) {
    this.#perSecond = perSecond
    this.#left = perSecond * burstSeconds
    this.#at = now
  }

  /** Takes a cost from the budget. Returns false when the budget is spent. */
  spend(cost: number, now: number): boolean {
    const refilled = this.#left + ((now - this.#at) / 1_000) * this.#perSecond
    this.#left = Math.min(refilled, this.#perSecond * burstSeconds) - cost
    this.#at = now
    return this.#left >= 0
  }
}
