import { median } from '../measure/statistics.ts'
import type { Metric, Scenario } from '../scenario/scenario.ts'
import { baseline, type SystemName } from '../system/system.ts'
import type { Machine } from './machine.ts'

/** One metric of one system, at one point. */
export interface Figure {
  readonly metric: string
  readonly at: number | undefined
  readonly system: SystemName
  readonly median: number
  readonly lowest: number
  readonly highest: number
  /** Median of the ratios to the baseline of the same round. */
  readonly ratio: number | undefined
  /** One of each round. */
  readonly values: readonly number[]
}

export interface ScenarioResult {
  readonly name: string
  readonly title: string
  readonly seconds: number
  /** Why it ended early. */
  readonly failure: string | undefined
  readonly metrics: readonly Metric[]
  readonly charts: Scenario['charts']
  readonly figures: readonly Figure[]
}

export interface BenchResult {
  readonly startedAt: string
  readonly seconds: number
  readonly quick: boolean
  readonly rounds: number
  readonly machine: Machine
  /** Of the last minute of the run. */
  readonly loadAfter: number
  /** What was compared. */
  readonly systems: readonly { readonly name: SystemName; readonly version: string }[]
  readonly scenarios: readonly ScenarioResult[]
}

/** Counts and shares are compared as they are. */
const unitsWithoutRatio = new Set(['', '%'])

/** Collects the values of one scenario. */
export class Recorder {
  readonly #metrics: ReadonlyMap<string, Metric>
  readonly #values = new Map<string, { metric: string; at: number | undefined; system: SystemName; values: number[] }>()

  constructor(metrics: readonly Metric[]) {
    this.#metrics = new Map(metrics.map((metric) => [metric.id, metric]))
  }

  record(system: SystemName, metric: string, value: number, at?: number): void {
    const key = `${metric} ${at} ${system}`
    const entry = this.#values.get(key) ?? { metric, at, system, values: [] }
    entry.values.push(value)
    this.#values.set(key, entry)
  }

  /** Returns the figures in the order of `systems`. */
  figures(systems: readonly SystemName[]): Figure[] {
    const entries = systems.flatMap((name) => [...this.#values.values()].filter(({ system }) => system === name))
    return entries.map(({ metric, at, system, values }) => {
      const base = this.#values.get(`${metric} ${at} ${baseline}`)?.values ?? []
      const ratio = median(values.slice(0, base.length).map((value, round) => value / (base[round] as number)))
      return {
        metric,
        at,
        system,
        median: median(values),
        lowest: Math.min(...values),
        highest: Math.max(...values),
        ratio: Number.isFinite(ratio) && !unitsWithoutRatio.has(this.#metrics.get(metric)?.unit ?? '') ? ratio : undefined,
        values,
      }
    })
  }
}
