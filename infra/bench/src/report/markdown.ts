import type { SystemName } from '../system/system.ts'
import type { Metric } from '../scenario/scenario.ts'
import type { BenchResult, Figure, ScenarioResult } from './result.ts'

/** A metric with more points has these many rows, evenly spread. The charts and the JSON have all. */
const maxRows = 12

/** Returns the report as Markdown: where and what was measured, then one table for each scenario. */
export function toMarkdown(result: BenchResult, charts: ReadonlyMap<string, readonly string[]>): string {
  const { machine } = result
  const header = [
    '# Benchmark of Tidings',
    '',
    result.quick
      ? 'A quick run: it shows that the benchmark works. Its figures mean nothing.'
      : `Medians of up to ${result.rounds} alternating rounds (lowest–highest), then the ratio to the floor, the median of the ratios within each round.`,
    '',
    `- ${result.startedAt}, ${Math.round(result.seconds)} s, commit ${machine.commit}`,
    `- ${machine.cores} cores (${machine.processor}), ${machine.memoryGib} GiB, Linux ${machine.kernel}; load average ${machine.loadBefore.toFixed(1)} before the run, ${result.loadAfter.toFixed(1)} at its end`,
    `- Node ${machine.node}, ${machine.database}, ${machine.redis}`,
    `- ${machine.pinned ? 'The compared servers share one core; the load, the database and Redis have the others.' : 'Processes are not bound to cores.'}`,
    ...result.systems.map(({ name, version }) => `- ${name}: ${version}`),
    '',
  ]
  return [...header, ...result.scenarios.flatMap((scenario) => section(scenario, charts.get(scenario.name) ?? []))].join('\n')
}

function section({ name, title, seconds, failure, metrics, figures }: ScenarioResult, charts: readonly string[]): string[] {
  const systems = [...new Set(figures.map(({ system }) => system))]
  const rows = metrics.flatMap((metric) => rowsOf(metric, figures, systems))
  return [
    `## ${title}`,
    '',
    ...(failure === undefined ? [] : [`**Ended early**: ${failure}`, '']),
    ...table(['', ...systems], rows),
    '',
    ...charts.map((file) => `![${title}](${file})`),
    ...(charts.length > 0 ? [''] : []),
    `\`--only ${name}\`, ${Math.round(seconds)} s`,
    '',
  ]
}

function rowsOf(metric: Metric, figures: readonly Figure[], systems: readonly SystemName[]): string[][] {
  const own = figures.filter((figure) => figure.metric === metric.id)
  const points = [...new Set(own.map(({ at }) => at))].toSorted((a, b) => (a ?? 0) - (b ?? 0))
  const step = Math.ceil(points.length / maxRows)
  const unit = metric.unit ? ` (${metric.unit})` : ''
  const labelOf = (at: number | undefined) =>
    `${metric.label}${at === undefined ? '' : `, ${formatNumber(at)} ${metric.at}`}${unit}`
  const cellsOf = (at: number | undefined) =>
    systems.map((system) => cell(own.find((figure) => figure.at === at && figure.system === system)))
  return points.filter((_, index) => (points.length - 1 - index) % step === 0).map((at) => [labelOf(at), cellsOf(at)].flat())
}

function cell(figure: Figure | undefined): string {
  if (!figure) return '–'
  const range = figure.values.length > 1 ? ` (${formatNumber(figure.lowest)}–${formatNumber(figure.highest)})` : ''
  return `${formatNumber(figure.median)}${range}${figure.ratio === undefined ? '' : ` ×${figure.ratio.toFixed(2)}`}`
}

/** Returns three significant digits, or all digits of a larger number. */
export function formatNumber(value: number): string {
  if (Number.isInteger(value) || Math.abs(value) >= 100) return Math.round(value).toLocaleString('en')
  return Number(value.toPrecision(3)).toString()
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = header.map((_, column) => Math.max(3, ...[header, ...rows].map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]) => `| ${widths.map((width, column) => (row[column] ?? '').padEnd(width)).join(' | ')} |`
  return [line(header), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rows.map(line)]
}
