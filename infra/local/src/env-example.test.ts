import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '../../..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const documented = new Map([...read('.env.example').matchAll(/^#?([A-Z_]+)=(.*)$/gm)].map(([, name, value]) => [name, value]))

test.each([
  'packages/chassis/src/config.ts',
  'services/notify-api/src/config.ts',
  'services/realtime-gateway/src/config.ts',
  'infra/edge/src/config.ts',
])('.env.example lists every variable of %s, with its default', (path) => {
  const variables = [...read(path).matchAll(/^ +([A-Z][A-Z_]+): (?:positive\(([\d_]+)\))?/gm)]
  expect(variables.length).toBeGreaterThan(3)
  for (const [, name, byDefault] of variables) {
    expect.soft([...documented.keys()], name).toContain(name)
    if (byDefault) expect.soft(documented.get(name), name).toBe(byDefault.replaceAll('_', ''))
  }
})
