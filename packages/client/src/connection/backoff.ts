export interface BackoffLimits {
  readonly reconnectBaseMs: number
  readonly reconnectMaxMs: number
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
