import { init, type EChartsOption, type LegendComponentOption } from 'echarts'
import type { Metric } from '../scenario/scenario.ts'
import { baseline, differsFromFloor, type SystemName } from '../system/system.ts'
import { formatNumber } from './markdown.ts'
import type { BenchResult, Figure, ScenarioResult } from './result.ts'

/** The charts exist for light and for dark pages, since GitHub shows both. */
export const themes = ['light', 'dark'] as const
type Theme = (typeof themes)[number]

interface Palette {
  readonly text: string
  readonly quiet: string
  readonly line: string
  readonly background: string
}

const palettes: Readonly<Record<Theme, Palette>> = {
  light: { text: '#1f2328', quiet: '#59636e', line: '#d1d9e0', background: '#ffffff' },
  dark: { text: '#f0f6fc', quiet: '#9198a1', line: '#3d444d', background: '#0d1117' },
}
/** Have enough contrast on both backgrounds. */
const colors: Readonly<Record<SystemName, string>> = {
  Tidings: '#2f81f7',
  floor: '#8b949e',
  'naive ws.send': '#bf8700',
  'Socket.IO': '#d1547a',
  Centrifugo: '#2da44e',
  Spring: '#a475f9',
}
const font = 'system-ui, Helvetica, Arial, sans-serif'
const width = 860
const barHeight = 26
const margin = { top: 48, right: 110, bottom: 56, left: 130 }
const legendTop = 40
const lineChartHeight = 420
/** A bar of the summary that is longer ends here and has its figure as text. */
const longestRatio = 3
const summaryTop = 92

/** What the summary shows: one group of bars each. */
const summaryRows: readonly { scenario: string; metric: string; at?: number; label: string }[] = [
  { scenario: 'fan-out', metric: 'cpu', label: 'broadcast:\nCPU per delivery' },
  { scenario: 'personal', metric: 'cpu', label: 'personal:\nCPU per delivery' },
  { scenario: 'post', metric: 'paced-cpu', label: 'post at 200/s:\nCPU per post' },
  { scenario: 'post', metric: 'cpu', at: 64, label: 'post, 64 clients:\nCPU per post' },
  { scenario: 'connect', metric: 'cpu', label: 'connect:\nCPU per session' },
  { scenario: 'memory', metric: 'session', at: 5_000, label: '5,000 idle:\nmemory of each' },
]

/** Returns the charts of a scenario as SVG by file name, each for light and dark pages. */
export function scenarioCharts(result: ScenarioResult): Map<string, string> {
  const files = new Map<string, string>()
  for (const chart of result.charts) {
    const metric = result.metrics.find(({ id }) => id === chart.metric)
    const figures = result.figures.filter((figure) => figure.metric === chart.metric)
    if (!metric || figures.length === 0) continue
    for (const theme of themes) {
      const { option, height } =
        chart.kind === 'bars'
          ? barChart(result.title, metric, figures, palettes[theme])
          : lineChart(result.title, metric, figures, palettes[theme], chart.logarithmic ?? false)
      files.set(fileName(`${result.name}-${chart.metric}`, theme), render(option, height))
    }
  }
  return files
}

/** Returns the chart of the whole run: each system as a multiple of the floor. */
export function summaryCharts(result: BenchResult): Map<string, string> {
  const figureOf = (row: (typeof summaryRows)[number], system: SystemName) =>
    result.scenarios
      .find(({ name }) => name === row.scenario)
      ?.figures.find((figure) => figure.metric === row.metric && figure.system === system && figure.at === row.at)
  const rows = summaryRows.filter((row) => figureOf(row, 'Tidings') && figureOf(row, baseline))
  // The floor is the line at 1.
  const systems = result.systems
    .filter(differsFromFloor)
    .map(({ name }) => name)
    .filter((name) => name !== baseline && rows.some((row) => figureOf(row, name)))
  const files = new Map<string, string>()
  if (rows.length === 0) return files
  for (const theme of themes) {
    const palette = palettes[theme]
    const height = summaryTop + margin.bottom + rows.length * (systems.length * 15 + 16)
    const floorLine = {
      silent: true,
      symbol: 'none',
      lineStyle: { color: palette.text, type: 'dashed' as const },
      label: { formatter: 'floor', position: 'start' as const, color: palette.text, fontFamily: font },
      data: [{ xAxis: 1 }],
    }
    const { machine } = result
    const option: EChartsOption = {
      ...frame(
        'Cost as a multiple of a bare Node server on Redis (floor = 1), less is better',
        `${machine.cores} cores, ${machine.processor}, Node ${machine.node}, load average ${machine.loadBefore.toFixed(1)} to ${result.loadAfter.toFixed(1)}, ${result.rounds} ${result.rounds === 1 ? 'round' : 'rounds'}, commit ${machine.commit}`,
        palette,
      ),
      legend: legendOf(systems, palette),
      xAxis: { type: 'value', min: 0, max: longestRatio, ...axis(palette) },
      yAxis: {
        type: 'category',
        inverse: true,
        data: rows.map(({ label }) => label),
        ...axis(palette),
        splitLine: { show: false },
      },
      grid: { ...margin, top: summaryTop },
      series: systems.map((system) => ({
        type: 'bar' as const,
        name: system,
        markLine: floorLine,
        color: colors[system],
        barMaxWidth: 13,
        barGap: '15%',
        data: rows.map((row) => {
          const ratio = figureOf(row, system)?.ratio
          if (ratio === undefined) return { value: '-' as const }
          return {
            value: Math.min(ratio, longestRatio),
            label: {
              show: true,
              position: 'right' as const,
              formatter: `${ratio.toFixed(2)}${ratio > longestRatio ? ' ▸' : ''}`,
              color: palette.text,
              fontFamily: font,
              fontSize: 11,
            },
          }
        }),
      })),
    }
    files.set(fileName('summary', theme), render(option, height))
  }
  return files
}

export function fileName(name: string, theme: Theme): string {
  return `${name}${theme === 'dark' ? '-dark' : ''}.svg`
}

/** One bar for each system, with a whisker from the lowest to the highest round. */
function barChart(
  title: string,
  metric: Metric,
  figures: readonly Figure[],
  palette: Palette,
): { option: EChartsOption; height: number } {
  const option: EChartsOption = {
    ...frame(headingOf(title, metric), `${detailOf(title)} Whiskers: lowest and highest round.`, palette),
    xAxis: { type: 'value', ...axis(palette) },
    yAxis: {
      type: 'category',
      inverse: true,
      data: figures.map(({ system }) => system),
      ...axis(palette),
      splitLine: { show: false },
    },
    series: [
      {
        type: 'bar',
        barMaxWidth: barHeight - 8,
        data: figures.map((figure) => ({ value: figure.median, itemStyle: { color: colors[figure.system] } })),
      },
      {
        type: 'custom',
        data: figures.map(({ lowest, highest }, index) => [lowest, index, highest]),
        encode: { x: [0, 2], y: 1 },
        renderItem(_, api) {
          const [left = 0, y = 0] = api.coord([api.value(0), api.value(1)])
          const [right = 0] = api.coord([api.value(2), api.value(1)])
          const label = figures[Number(api.value(1))]
          const style = { stroke: palette.text, lineWidth: 1.5 }
          const line = (x1: number, y1: number, x2: number, y2: number) => ({
            type: 'line' as const,
            shape: { x1, y1, x2, y2 },
            style,
          })
          const text = {
            type: 'text' as const,
            x: right + 8,
            y: y - 6,
            style: { text: labelOf(label), fill: palette.text, font: `12px ${font}` },
          }
          return {
            type: 'group' as const,
            children: [line(left, y, right, y), line(left, y - 4, left, y + 4), line(right, y - 4, right, y + 4), text],
          }
        },
      },
    ],
  }
  return { option, height: margin.top + margin.bottom + figures.length * (barHeight + 8) }
}

function lineChart(
  title: string,
  metric: Metric,
  figures: readonly Figure[],
  palette: Palette,
  logarithmic: boolean,
): { option: EChartsOption; height: number } {
  const systems = [...new Set(figures.map(({ system }) => system))]
  const points = [...new Set(figures.map(({ at = 0 }) => at))].toSorted((a, b) => a - b)
  const nameTextStyle = { color: palette.quiet, fontFamily: font, fontSize: 12 }
  const named = { name: metric.at ?? '', nameLocation: 'middle' as const, nameGap: 28, nameTextStyle, ...axis(palette) }
  const last = points.at(-1) ?? 1
  const option: EChartsOption = {
    ...frame(headingOf(title, metric), detailOf(title), palette),
    legend: legendOf(systems, palette),
    grid: { ...margin, top: 84, bottom: 84, left: 70 },
    xAxis: logarithmic ? { type: 'log', min: points[0] ?? 1, max: last, ...named } : { type: 'value', max: last, ...named },
    yAxis: logarithmic ? { type: 'log', ...axis(palette) } : { type: 'value', min: 0, ...axis(palette) },
    series: systems.map((system) => ({
      type: 'line' as const,
      name: system,
      color: colors[system],
      symbolSize: 7,
      labelLayout: { moveOverlap: 'shiftY' as const },
      lineStyle: { width: 2.5 },
      data: figures.filter((figure) => figure.system === system).map((figure) => [figure.at ?? 0, figure.median]),
      endLabel: {
        show: true,
        formatter: ({ value }: { value: unknown }) => formatNumber((value as number[])[1] ?? 0),
        color: palette.text,
      },
    })),
  }
  return { option, height: lineChartHeight }
}

function frame(title: string, subtitle: string, palette: Palette): EChartsOption {
  return {
    animation: false,
    backgroundColor: palette.background,
    title: [
      { text: title, left: 16, top: 12, textStyle: { color: palette.text, fontFamily: font, fontSize: 15, fontWeight: 600 } },
      {
        text: subtitle,
        left: 16,
        bottom: 8,
        textStyle: { color: palette.quiet, fontFamily: font, fontSize: 12, fontWeight: 400 },
      },
    ],
    grid: margin,
  }
}

function legendOf(systems: readonly SystemName[], { text }: Palette): LegendComponentOption {
  return {
    top: legendTop,
    left: 'center',
    itemGap: 24,
    textStyle: { color: text, fontFamily: font, fontSize: 13 },
    data: [...systems],
  }
}

function axis(palette: Palette): object {
  return {
    axisLabel: { color: palette.text, fontFamily: font, fontSize: 12 },
    axisLine: { lineStyle: { color: palette.line } },
    axisTick: { show: false },
    splitLine: { lineStyle: { color: palette.line } },
  }
}

function labelOf(figure: Figure | undefined): string {
  if (!figure) return ''
  return `${formatNumber(figure.median)}${figure.ratio === undefined || figure.system === baseline ? '' : `  (×${figure.ratio.toFixed(2)})`}`
}

/** Returns the subject of the scenario with the metric. */
function headingOf(title: string, { label, unit, lowerIsBetter }: Metric): string {
  return `${title.split(':')[0]}: ${label}${unit ? ` (${unit})` : ''}, ${lowerIsBetter ? 'less' : 'more'} is better`
}

/** Returns the load of the scenario as a sentence. */
function detailOf(title: string): string {
  return `${title.slice(title.indexOf(':') + 2).replace(/^./, (first) => first.toUpperCase())}.`
}

function render(option: EChartsOption, height: number): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height })
  chart.setOption(option)
  const svg = chart.renderToSVGString()
  chart.dispose()
  return svg
}
