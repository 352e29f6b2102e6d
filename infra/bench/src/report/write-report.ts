import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { scenarioCharts, summaryCharts } from './chart.ts'
import { toMarkdown } from './markdown.ts'
import type { BenchResult } from './result.ts'

/** Writes `results.json`, `results.md` and the charts, and returns the Markdown. */
export function writeReport(result: BenchResult, directory: string): string {
  mkdirSync(directory, { recursive: true })
  const charts = new Map(result.scenarios.map((scenario) => [scenario.name, scenarioCharts(scenario)]))
  for (const files of [...charts.values(), summaryCharts(result)]) {
    for (const [file, svg] of files) writeFileSync(join(directory, file), svg)
  }
  const light = new Map(
    [...charts].map(([name, files]) => [name, [...files.keys()].filter((file) => !file.endsWith('-dark.svg'))]),
  )
  const markdown = toMarkdown(result, light)
  writeFileSync(join(directory, 'results.json'), `${JSON.stringify(result, undefined, 2)}\n`)
  writeFileSync(join(directory, 'results.md'), markdown)
  return markdown
}
