import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'vite'
import { afterAll, beforeAll, expect, test } from 'vitest'

const maxGzipBytes = 25 * 1_024
/** What the bell adds to the rest. */
const maxBellGzipBytes = 10 * 1_024
const maxPushGzipBytes = 2 * 1_024
/** As it is, since browsers fetch it often. */
const maxWorkerBytes = 3 * 1_024
const client = join(import.meta.dirname, '../../../packages/client')

let directory: string
beforeAll(() => {
  directory = mkdtempSync(join(import.meta.dirname, '../.client-size-'))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** Bundles this source as an application would, and resolves to the bundle. */
async function bundle(name: string, source: string): Promise<Buffer> {
  const entry = join(directory, `${name}.ts`)
  writeFileSync(entry, source)
  await build({
    configFile: false,
    root: directory,
    logLevel: 'error',
    resolve: { conditions: ['tidings:source', 'browser', 'module', 'import', 'default'] },
    build: { outDir: join(directory, name), rolldownOptions: { input: entry, output: { entryFileNames: 'bundle.js' } } },
  })
  return readFileSync(join(directory, name, 'bundle.js'))
}

const gzippedBytes = (code: Buffer) => gzipSync(code, { level: 9 }).length

/** The size that the README of the client states, in thousands of bytes. */
function statedKilobytes(): number {
  const readme = readFileSync(join(import.meta.dirname, '../../../packages/client/README.md'), 'utf8')
  return Number(/(\d+) KB gzip/.exec(readme)?.[1])
}

test('is under 25 KB gzipped with stompjs, as large as its README states, and contains no schemas', async () => {
  const code = await bundle('whole', `import { createTidings } from '@tidings/client'\ncreateTidings().start()`)
  const length = gzippedBytes(code)
  console.log(`@tidings/client with stompjs: ${code.length} bytes, ${length} bytes gzipped (at most ${maxGzipBytes})`)
  expect(length).toBeLessThan(maxGzipBytes)
  expect(statedKilobytes()).toBe(Math.ceil(length / 1_000))
  expect(code.toString()).not.toContain('ZodError')
})

test('adds at most 2 KB gzipped with web push, and its service worker is under 3 KB', async () => {
  const [sdk, push] = await Promise.all([
    bundle('without', `import { createTidings } from '@tidings/client'\ncreateTidings().start()`),
    bundle(
      'push',
      `import { createTidings } from '@tidings/client'\nimport { webPush } from '@tidings/client/push'\ncreateTidings({ push: webPush() }).start()`,
    ),
  ])
  const added = gzippedBytes(push) - gzippedBytes(sdk)
  console.log(`@tidings/client/push: ${added} bytes gzipped over the SDK (at most ${maxPushGzipBytes})`)
  expect(added).toBeLessThan(maxPushGzipBytes)
  await build({ root: client, mode: 'worker', logLevel: 'error', build: { outDir: join(directory, 'worker') } })
  expect(readFileSync(join(directory, 'worker/tidings-worker.js')).length).toBeLessThan(maxWorkerBytes)
})

test('adds at most 10 KB gzipped with the bell', async () => {
  const [sdk, bell] = await Promise.all([
    bundle('sdk', `import { createTidings } from '@tidings/client'\ncreateTidings().start()`),
    bundle('bell', `import '@tidings/client/bell'`),
  ])
  const added = gzippedBytes(bell) - gzippedBytes(sdk)
  console.log(`@tidings/client/bell: ${added} bytes gzipped over the SDK (at most ${maxBellGzipBytes})`)
  expect(bell.toString()).toContain('tidings-bell')
  expect(added).toBeLessThan(maxBellGzipBytes)
})

test('adds nothing to a bundle that does not use its imports', async () => {
  const code = await bundle('unused', `import '@tidings/client'\nimport { createTidings } from '@tidings/client'\nconsole.log(1)`)
  expect(code.length).toBeLessThan(200)
})
