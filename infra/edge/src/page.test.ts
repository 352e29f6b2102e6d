import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ServiceProcess, startService } from '@tidings/local'
import { afterAll, beforeAll, expect, test } from 'vitest'

const directory = mkdtempSync(join(tmpdir(), 'tidings-page-'))
let edge: ServiceProcess

beforeAll(async () => {
  mkdirSync(join(directory, 'assets'))
  writeFileSync(join(directory, 'index.html'), '<title>page</title>')
  writeFileSync(join(directory, 'assets/page-1a2b.js'), '1')
  edge = await startService('edge', {
    GATEWAY_URLS: 'http://127.0.0.1:1',
    NOTIFY_API_URL: 'http://127.0.0.1:1',
    PAGE_DIRECTORY: directory,
  })
})
afterAll(async () => {
  await edge?.stop()
  rmSync(directory, { recursive: true })
})

test('the page is asked for again each time, what its name tells apart is kept', async () => {
  const page = await fetch(edge.url)
  expect([page.status, await page.text(), page.headers.get('cache-control')]).toEqual([200, '<title>page</title>', 'no-cache'])
  const asset = await fetch(`${edge.url}/assets/page-1a2b.js`)
  expect([asset.status, asset.headers.get('cache-control')]).toEqual([200, 'public, max-age=31536000, immutable'])
})

test('where a notification leads is the page, what is missing is not', async () => {
  const dashboard = await fetch(`${edge.url}/dashboard`, { headers: { accept: 'text/html' } })
  expect([dashboard.status, await dashboard.text()]).toEqual([200, '<title>page</title>'])
  const missing = await fetch(`${edge.url}/assets/gone.js`)
  expect([missing.status, missing.headers.get('content-type')]).toEqual([404, 'application/problem+json; charset=utf-8'])
})
