import { abnormalClosure } from './close-action.ts'

export interface BackoffLimits {
  readonly reconnectBaseMs: number
  readonly reconnectMaxMs: number
}

/** A connection that was lost after at least this long shows that the gateway is there: the network is what fails. */
const minLostLifeMs = 1_000
/** A session that the gateway closed earlier counts as another failure. */
const minClosedLifeMs = 5_000

/** Returns whether a session stood for long enough that its end is not another failure. */
export function resetsBackoff({ code, livedMs }: { readonly code: number; readonly livedMs: number }): boolean {
  return livedMs >= (code === abnormalClosure ? minLostLifeMs : minClosedLifeMs)
}

/** Keeps `2 ** failures` finite. */
const maxDoublings = 30

/**
 * Returns how many milliseconds to wait after `failures` earlier failures: a random time below a bound that doubles each time. Full
 * jitter keeps clients that lost their connection together from reconnecting together
 * (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
 */
export function backoffMs(
  failures: number,
  { reconnectBaseMs, reconnectMaxMs }: BackoffLimits,
  random: () => number = Math.random,
): number {
  return Math.round(random() * Math.min(reconnectMaxMs, reconnectBaseMs * 2 ** Math.min(failures, maxDoublings)))
}
