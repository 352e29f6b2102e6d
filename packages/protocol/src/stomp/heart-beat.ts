/** One heart-beat: a line end between frames (STOMP 1.2, Heart-beating). */
export const heartBeat = '\n'

/** Heart-beat intervals that one side offers, in ms; 0 means none. */
export interface HeartBeatOffer {
  /** Shortest interval between heart-beats that it can guarantee to send. */
  readonly sendMs: number
  /** Interval between heart-beats that it wants to receive. */
  readonly wantMs: number
}

/** Agreed heart-beat intervals, as seen from the side that made the offer, in ms; 0 means no heart-beats in that direction. */
export interface HeartBeat {
  /** Longest interval between two heart-beats that it sends. */
  readonly sendMs: number
  /** Longest interval between two heart-beats that it receives. */
  readonly expectMs: number
}

// Nine digits of ms are eleven days: more than a timer needs, and small enough that sums stay exact.
const pattern = /^ *(\d{1,9}) *, *(\d{1,9}) *$/

/**
 * Agrees both directions from our offer and the `heart-beat` header of the other side: each gets the longer of the two intervals,
 * or none if one side offers 0 (STOMP 1.2, Heart-beating). A missing header means `0,0`. Returns undefined for a malformed
 * header.
 */
export function negotiateHeartBeat(offer: HeartBeatOffer, header: string | undefined): HeartBeat | undefined {
  const match = pattern.exec(header ?? '0,0')
  if (!match) return undefined
  return { sendMs: agreed(offer.sendMs, Number(match[2])), expectMs: agreed(offer.wantMs, Number(match[1])) }
}

function agreed(ours: number, theirs: number): number {
  return ours === 0 || theirs === 0 ? 0 : Math.max(ours, theirs)
}
