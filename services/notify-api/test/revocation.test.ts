import { memberToken, serviceToken, developmentSecrets } from '@tidings/local'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { call, type NotifyApi, openStack, type Stack } from './fixture/notify-api.ts'
import { createTask } from './fixture/task.ts'

const leewaySeconds = 300
const daySeconds = 86_400
const nowSeconds = () => Math.floor(Date.now() / 1_000)

let stack: Stack
/** One key signs the tokens of members and of backends, as with one issuer. */
let api: NotifyApi
beforeAll(async () => {
  stack = await openStack('revocation')
  api = await stack.start({
    MEMBER_JWT_SECRET: developmentSecrets.service,
    CLOCK_LEEWAY_SECONDS: String(leewaySeconds),
    MAX_TOKEN_DAYS: '1',
  })
})
afterAll(() => stack.close())

const readTask = (taskId: string, token: string) =>
  call(`${api.url}/task/${taskId}`, { headers: { authorization: `Bearer ${token}` } })

test('GET /task/{id} refuses a revoked token in Authorization with 401, where it lacks only the scope of a backend', async () => {
  const taskId = await createTask(api, 1)
  const token = memberToken(1, { secret: developmentSecrets.service, claims: { iat: nowSeconds() - 60 } })
  expect((await readTask(taskId, token)).status).toBe(200)
  expect((await api.post('/session/revoke', { memberId: 1 })).status).toBe(202)
  expect(await readTask(taskId, token)).toMatchObject({ status: 401, body: { detail: 'authorization: the token was revoked' } })
  const ofBackend = serviceToken({ scopes: ['notification:send'], claims: { sub: 'a backend' } })
  expect(await readTask(taskId, ofBackend)).toMatchObject({ status: 403 })
})

test('a revocation is in force for as long as CLOCK_LEEWAY_SECONDS lets its tokens live', async () => {
  const issuedAt = nowSeconds()
  expect((await api.post('/session/revoke', { memberId: 'auth0|2' })).status).toBe(202)
  const redis = new Redis(stack.redis.url)
  const entry = await redis.hget('{gateway:control}:revocation', ':auth0|2')
  redis.disconnect()
  const expiresAt = Number(entry?.split(' ')[1])
  // Without `iat`, the leeway counts twice: when the token is verified first, and after its `exp`.
  expect(expiresAt).toBeGreaterThan(issuedAt + daySeconds + 2 * leewaySeconds)
})
