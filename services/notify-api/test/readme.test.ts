import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { Variables } from '../src/config.ts'
import { problems } from '../src/http/problem.ts'

const readme = readFileSync(new URL('../REFERENCE.md', import.meta.url), 'utf8')

/** Returns the cells of the table below a heading, without the header rows. */
function table(heading: string): string[][] {
  const section = readme.split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''
  const rows = section.split('\n').filter((line) => line.startsWith('|'))
  return rows.slice(2).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}

const names = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name ?? '')

test('lists every problem', () => {
  const expected = Object.entries(problems).map(([name, { status, when }]) => [`\`${name}\``, String(status), when])
  expect(table('Problems')).toEqual(expected)
})

test('lists every setting with its default', () => {
  const rows = table('Settings')
  const named = rows.flatMap(([variable = '']) => names(variable))
  const known = Object.keys(Variables.shape).filter((name) => name !== 'NODE_ENV')
  expect(named.toSorted()).toEqual(known.toSorted())
  for (const [variable = '', defaults = ''] of rows) {
    const values = defaults.split(', ').map((value) => value.replaceAll('`', ''))
    for (const [index, name] of names(variable).entries()) {
      const schema = Variables.shape[name as keyof typeof Variables.shape]
      const parsed = schema.safeParse(undefined)
      if (parsed.success && parsed.data !== undefined) expect([name, String(parsed.data)]).toEqual([name, values[index]])
    }
  }
})
