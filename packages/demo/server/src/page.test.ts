import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type RunningServer, startDemo } from './demo-server.test.fixture.ts'

const directory = mkdtempSync(join(tmpdir(), 'tidings-page-'))
let demo: RunningServer

beforeAll(async () => {
  mkdirSync(join(directory, 'assets'))
  writeFileSync(join(directory, 'index.html'), '<title>page</title>')
  writeFileSync(join(directory, 'assets/page-1a2b.js'), '1')
  demo = await startDemo({ pageDirectory: directory })
})
afterAll(async () => {
  await demo?.close()
  rmSync(directory, { recursive: true })
})

test('the page is revalidated on each visit, and assets with a hash in their name are cached for good', async () => {
  const page = await fetch(demo.url)
  expect([page.status, await page.text(), page.headers.get('cache-control')]).toEqual([200, '<title>page</title>', 'no-cache'])
  const asset = await fetch(`${demo.url}/assets/page-1a2b.js`)
  expect([asset.status, asset.headers.get('cache-control')]).toEqual([200, 'public, max-age=31536000, immutable'])
})

test('the path of a notification opens the page, and a missing asset is 404', async () => {
  const dashboard = await fetch(`${demo.url}/dashboard`, { headers: { accept: 'text/html' } })
  expect([dashboard.status, await dashboard.text()]).toEqual([200, '<title>page</title>'])
  const missing = await fetch(`${demo.url}/assets/gone.js`)
  expect([missing.status, missing.headers.get('content-type')]).toEqual([404, 'application/problem+json; charset=utf-8'])
})
