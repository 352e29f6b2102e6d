import { setTimeout as delay } from 'node:timers/promises'

type Falsy = undefined | null | false | 0 | ''

/**
 * Calls `fact` until it returns a truthy value, and resolves to that value. An error of `fact` counts as not yet.
 *
 * @throws Error that names `what`, with the last error of `fact` as its cause, once the deadline has passed.
 */
export async function waitFor<T>(
  fact: () => T | Falsy | Promise<T | Falsy>,
  { deadlineMs = 10_000, what }: { deadlineMs?: number; what: string },
): Promise<T> {
  const deadline = performance.now() + deadlineMs
  let cause: unknown
  for (;;) {
    // Read before the fact: a caller delayed past the deadline still checks once more.
    const late = performance.now() >= deadline
    try {
      const held = await fact()
      if (held) return held
      cause = undefined
    } catch (error) {
      cause = error
    }
    if (late) throw new Error(`waited ${deadlineMs} ms in vain for ${what}`, { cause })
    await delay(10)
  }
}
