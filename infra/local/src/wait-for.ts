import { setTimeout as delay } from 'node:timers/promises'

type Falsy = undefined | null | false | 0 | ''

/**
 * Asks for a fact again and again until it holds, and answers it. An error of `fact` counts as not yet.
 *
 * @throws Error naming `what` was awaited, and the last error of `fact`, once the deadline has passed.
 */
export async function waitFor<T>(
  fact: () => T | Falsy | Promise<T | Falsy>,
  { deadlineMs = 10_000, what }: { deadlineMs?: number; what: string },
): Promise<T> {
  const deadline = performance.now() + deadlineMs
  let cause: unknown
  for (;;) {
    // Looked at before the fact: who was held up past the deadline asks once more.
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
