export interface BackoffLimits {
  readonly reconnectBaseMs: number
  readonly reconnectMaxMs: number
}

/**
 * How long to wait before the attempt after `failures` failed ones: anything up to twice as much each time. Full jitter, so that those
 * who lost their connection together do not come back together
 * (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
 */
export function backoffMs(
  failures: number,
  { reconnectBaseMs, reconnectMaxMs }: BackoffLimits,
  random: () => number = Math.random,
): number {
  return Math.round(random() * Math.min(reconnectMaxMs, reconnectBaseMs * 2 ** Math.min(failures, 30)))
}
