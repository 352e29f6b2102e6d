import { memberToken, startService } from '@tidings/local'
import { expect, test } from 'vitest'
import { startEdge } from './edge.test.fixture.ts'

const login = (url: string) =>
  fetch(`${url}/login`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"memberId":7}' })

test('EDGE_LOGIN=local lets a visitor sign in', async () => {
  const { url } = await startEdge({ EDGE_LOGIN: 'local' })
  const response = await login(url)
  expect(response.headers.get('set-cookie')).toMatch(/^access_token=/)
  expect(await response.json()).toMatchObject({ memberId: 7 })
})

test('without EDGE_LOGIN a visitor cannot sign in, and whoami is served', async () => {
  const { url } = await startEdge({})
  expect((await login(url)).status).toBe(404)
  const cookie = `access_token=${memberToken(7)}`
  expect((await fetch(`${url}/whoami`, { headers: { cookie } })).status).toBe(200)
})

test('EDGE_LOGIN=local is refused in production', async () => {
  const starting = startService('edge', {
    NODE_ENV: 'production',
    EDGE_LOGIN: 'local',
    GATEWAY_URLS: 'http://127.0.0.1:1',
    NOTIFY_API_URL: 'http://127.0.0.1:1',
  })
  await expect(starting).rejects.toThrow(/EDGE_LOGIN: .*not in production/)
})
