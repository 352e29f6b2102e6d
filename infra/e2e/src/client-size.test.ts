import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'vite'
import { afterAll, beforeAll, expect, test } from 'vitest'

const budget = 25 * 1_024

let directory: string
beforeAll(() => {
  directory = mkdtempSync(join(import.meta.dirname, '../.client-size-'))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** What an application's bundler makes of this line. */
async function bundled(name: string, line: string): Promise<Buffer> {
  const entry = join(directory, `${name}.ts`)
  writeFileSync(entry, line)
  await build({
    configFile: false,
    root: directory,
    logLevel: 'error',
    resolve: { conditions: ['tidings:source', 'browser', 'module', 'import', 'default'] },
    build: { outDir: join(directory, name), rolldownOptions: { input: entry, output: { entryFileNames: 'bundle.js' } } },
  })
  return readFileSync(join(directory, name, 'bundle.js'))
}

test('with stompjs, and without schemas, under 25 KB gzip', async () => {
  const bundle = await bundled('whole', `import { createTidings } from '@tidings/client'\ncreateTidings().start()`)
  const { length } = gzipSync(bundle, { level: 9 })
  console.log(`@tidings/client with stompjs: ${bundle.length} bytes, ${length} gzip`)
  expect(length).toBeLessThan(budget)
  expect(bundle.toString()).not.toContain('ZodError')
})

test('an import that is not used costs nothing', async () => {
  const bundle = await bundled(
    'unused',
    `import '@tidings/client'\nimport { createTidings } from '@tidings/client'\nconsole.log(1)`,
  )
  expect(bundle.length).toBeLessThan(200)
})
