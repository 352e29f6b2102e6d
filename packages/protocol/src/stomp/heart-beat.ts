/** One beat: an end of line between frames (STOMP 1.2, Heart-beating). */
export const heartBeat = '\n'

/** What one side can and would like to do, in milliseconds; 0 means not at all. */
export interface HeartBeatOffer {
  /** The smallest time between two beats that it can guarantee to send. */
  readonly sendMs: number
  /** The time between two beats that it would like to receive. */
  readonly wantMs: number
}

/** What was agreed, seen from the side that made the offer; 0 means no beats in that direction. */
export interface HeartBeat {
  readonly sendMs: number
  readonly expectMs: number
}

// Nine digits are eleven days: more than any timer needs, and far from where sums lose precision.
const pattern = /^ *(\d{1,9}) *, *(\d{1,9}) *$/

/**
 * Settles both directions from our offer and the other side's `heart-beat` header, each at the slower of the two wishes
 * (STOMP 1.2, Heart-beating). A missing header is `0,0`; undefined means that the header is malformed.
 */
export function negotiateHeartBeat(offer: HeartBeatOffer, header: string | undefined): HeartBeat | undefined {
  const match = pattern.exec(header ?? '0,0')
  if (!match) return undefined
  return { sendMs: slower(offer.sendMs, Number(match[2])), expectMs: slower(offer.wantMs, Number(match[1])) }
}

function slower(ours: number, theirs: number): number {
  return ours === 0 || theirs === 0 ? 0 : Math.max(ours, theirs)
}
