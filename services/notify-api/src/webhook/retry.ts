const firstDelaySeconds = 5
const maxDelaySeconds = 3_600
/** Part of a delay that is random, so that what failed together is not tried again together. */
const jitter = 0.2

/**
 * Returns how long to wait after the attempt with this number, from 1 on: 5 s, doubled with each attempt, up to an hour. A longer
 * `Retry-After` (RFC 9110 §10.2.3) is kept, also up to an hour. A shorter one is not: it would use up the attempts.
 */
export function retryDelaySeconds(attempts: number, retryAfter?: string): number {
  const backoff = Math.min(firstDelaySeconds * 2 ** (attempts - 1), maxDelaySeconds) * (1 - jitter * Math.random())
  const asked = retryAfterSeconds(retryAfter) * (1 + jitter * Math.random())
  return Math.min(Math.max(backoff, asked), maxDelaySeconds)
}

/** Returns 0 when the header is absent, not valid or in the past. */
function retryAfterSeconds(header = ''): number {
  if (/^\d+$/.test(header)) return Number(header)
  const seconds = (Date.parse(header) - Date.now()) / 1_000
  return seconds > 0 ? seconds : 0
}
