import type { MemberLoad } from '../load/member-load.ts'
import type { Environment, System, SystemKind } from '../system/system.ts'

/** What one scenario measures of each system. */
export interface Metric {
  readonly id: string
  readonly label: string
  readonly unit: string
  /** False where more is better. */
  readonly lowerIsBetter: boolean
  /** What the values depend on, for a metric that is measured at several points: the label of the x axis. */
  readonly at?: string
  /** Whether 0 is a good value, which a cost never is. */
  readonly mayBeZero?: boolean
}

export interface Chart {
  readonly metric: string
  readonly kind: 'bars' | 'line'
  /** Of both axes of a line. */
  readonly logarithmic?: boolean
}

/** One kind of load. All have this shape; `main.ts` lists them. */
export interface Scenario {
  readonly name: string
  /** The load in one line, with its sizes. */
  readonly title: (quick: boolean) => string
  readonly metrics: readonly Metric[]
  readonly charts: readonly Chart[]
  readonly run: (context: Context) => Promise<void>
}

export interface Context {
  /** All compared systems, started. */
  readonly systems: readonly System[]
  /** The same systems, for scenarios that start their own. */
  readonly kinds: readonly SystemKind[]
  readonly environment: Environment
  readonly load: MemberLoad
  readonly rounds: number
  /** Whether sizes are small: for a test of the benchmark, not for figures. */
  readonly quick: boolean
  /** Adds the value of one round. `at` is the point on the x axis of the metric. */
  readonly record: (system: System['name'], metric: string, value: number, at?: number) => void
}

/**
 * Runs `measure` for each system, in alternating rounds, since a shared machine changes its speed by the second. Every other round has
 * the opposite order. A first round is not recorded, unless the run is quick: it warms up just-in-time compilers and caches.
 */
export async function inRounds(
  context: Context,
  systems: readonly System[],
  measure: (system: System, record: (metric: string, value: number, at?: number) => void) => Promise<void>,
): Promise<void> {
  for (let round = context.quick ? 1 : 0; round <= context.rounds; round++) {
    for (const system of round % 2 === 0 ? systems : systems.toReversed()) {
      await measure(system, (metric, value, at) => {
        if (round > 0) context.record(system.name, metric, value, at)
      })
    }
  }
}

/** Returns the numbers 1 to `count`. */
export function memberIds(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1)
}

/** Calls `work` `count` times at a steady rate, and resolves when all calls have. */
export async function paced(count: number, perSecond: number, work: (index: number) => Promise<unknown>): Promise<void> {
  const startedAt = performance.now()
  const running: Promise<unknown>[] = []
  while (running.length < count) {
    const due = Math.min(count, Math.floor(((performance.now() - startedAt) * perSecond) / 1_000) + 1)
    while (running.length < due) running.push(work(running.length))
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  await Promise.all(running)
}
