import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { settingRows } from './setting-table.ts'

const path = join(import.meta.dirname, '../../../docs/OPERATIONS.md')
const [begin, end] = ['<!-- settings: UPDATE_DOCS=1 npm test -- infra/systemd -->', '<!-- end of settings -->'] as const

function aligned(rows: readonly string[][]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
  const line = (cells: readonly string[], fill = ' ') =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0, fill)).join(' | ')} |\n`
  const [heading = [], ...others] = rows
  return (
    line(heading) +
    line(
      heading.map(() => ''),
      '-',
    ) +
    others.map((row) => line(row)).join('')
  )
}

test('the table of settings in OPERATIONS.md is that of the schemas of both services', () => {
  const rows = settingRows()
  expect(rows).toContainEqual(['`MYSQL_URL`', 'notify-api', '**required**', ''])
  expect(rows).toContainEqual(['`PORT`', 'both', '`8081`, `8082`', '0 to 65535'])
  expect(rows).toContainEqual(['`HEART_BEAT_MS`', 'gateway', '`10000`', expect.stringMatching(/^\d+ to \d+$/)])
  const page = readFileSync(path, 'utf8')
  const [from, to] = [page.indexOf(begin), page.indexOf(end)]
  expect(from).toBeGreaterThan(0)
  expect(to).toBeGreaterThan(from)
  const wanted = `${page.slice(0, from)}${begin}\n\n${aligned(rows)}\n${page.slice(to)}`
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(path, wanted)
  expect(readFileSync(path, 'utf8'), 'out of date: UPDATE_DOCS=1 npm test -- infra/systemd').toBe(wanted)
})
