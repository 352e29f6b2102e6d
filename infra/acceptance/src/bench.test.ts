import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { chromium } from 'playwright-core'
import { findBrowser } from '@tidings/local'
import { root } from './fixture/repository.ts'
import { succeeds } from './fixture/shell.ts'

// npm run bench in small: that each scenario measures something and the report can be read, not how fast anything is.
interface Figure {
  readonly metric: string
  readonly at?: number
  readonly system: string
  readonly median: number
  readonly values: readonly number[]
}
interface Scenario {
  readonly name: string
  readonly metrics: readonly { readonly id: string; readonly mayBeZero?: boolean }[]
  readonly charts: readonly { readonly metric: string }[]
  readonly figures: readonly Figure[]
}
interface Report {
  readonly systems: readonly { readonly name: string }[]
  readonly machine: { readonly node: string; readonly commit: string; readonly cores: number }
  readonly scenarios: readonly Scenario[]
}

/** Larger than any figure in any unit. */
const plausible = 1e9
const out = mkdtempSync(join(tmpdir(), 'tidings-bench-'))
let report: Report

beforeAll(async () => {
  await succeeds(`"${process.execPath}" infra/bench/dist/main.js --quick --out "${out}"`, { cwd: root })
  report = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8')) as Report
}, 500_000)
afterAll(() => rmSync(out, { recursive: true, force: true }))

test('each scenario has a plausible figure of each metric', () => {
  expect(report.scenarios.map(({ name }) => name)).toEqual(
    'fan-out personal post latency connect resume memory token tab storage cancel'.split(' '),
  )
  for (const { name, metrics, figures } of report.scenarios) {
    for (const { id, mayBeZero } of metrics) {
      const own = figures.filter(({ metric }) => metric === id)
      expect(
        own.map(({ system }) => system),
        `${name} ${id}`,
      ).toContain('Tidings')
      for (const { system, values } of own) {
        const wrong = values.filter((value) => !(value < plausible && (mayBeZero ? value >= 0 : value > 0)))
        expect(wrong, `${name} ${id} of ${system}`).toEqual([])
      }
    }
  }
})

test('Tidings loses nothing, and resumes without a query of MySQL', () => {
  expect(ofTidings('fan-out', 'lost')).toBe(0)
  expect(ofTidings('personal', 'lost')).toBe(0)
  expect(ofTidings('tab', 'lost')).toBe(0)
  expect(ofTidings('resume', 'lost')).toBe(0)
  expect(ofTidings('resume', 'queries')).toBe(0)
})

test('the report names the machine and the systems, and shows each chart that it has', () => {
  const markdown = readFileSync(join(out, 'results.md'), 'utf8')
  for (const { name } of report.systems) expect(markdown).toContain(`- ${name}: `)
  expect(markdown).toContain(`Node ${report.machine.node}`)
  expect(markdown).toContain(`commit ${report.machine.commit}`)
  const shown = [...markdown.matchAll(/!\[[^\]]*\]\(([^)]+)\)/g)].map((match) => match[1])
  const light = readdirSync(out).filter((file) => /(?<!-dark)\.svg$/.test(file) && !file.startsWith('summary'))
  expect(new Set(shown)).toEqual(new Set(light))
  expect(shown).toHaveLength(report.scenarios.flatMap(({ charts }) => charts).length)
})

test('a browser shows the charts as pictures', async () => {
  const browser = await chromium.launch({ executablePath: findBrowser(), args: ['--no-sandbox'] })
  const page = await browser.newPage()
  for (const file of readdirSync(out).filter((name) => name.endsWith('.svg'))) {
    const width = await page.evaluate(
      async (svg) => {
        const image = new Image()
        image.src = `data:image/svg+xml,${encodeURIComponent(svg)}`
        await image.decode()
        return image.width
      },
      readFileSync(join(out, file), 'utf8'),
    )
    expect(width, file).toBeGreaterThan(500)
  }
  await browser.close()
})

function ofTidings(scenario: string, metric: string): number | undefined {
  const figures = report.scenarios.find(({ name }) => name === scenario)?.figures
  return figures?.find((figure) => figure.metric === metric && figure.system === 'Tidings')?.median
}
