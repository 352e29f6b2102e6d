import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { readConfig, serviceVariables } from './config.ts'
import { redisTarget } from './redis-target.ts'
import { developmentSecrets, tokenSettings, tokenVariables } from './token.ts'

const schema = z
  .object({ ...serviceVariables({ service: 1, ops: 2 }), ...tokenVariables('MEMBER'), MAX_SESSIONS: z.string().optional() })
  .transform((variables, context) => [redisTarget(variables, context), tokenSettings('MEMBER', variables, context)])
const needed = { ALLOWED_ORIGINS: 'https://a.example', MEMBER_JWT_SECRET: 'a secret of more than thirty-two bytes' }
const read = (variables: Record<string, string>) => readConfig(schema, { ...needed, ...variables })

const invalidUrl = 'REDIS_URL: is not a valid URL: percent-encode special characters in user and password'
const sentinelForm = 'REDIS_URL: must be redis+sentinel://[user:password@]host:port,host:port/master-name'

test.each([
  ['REDIS_URL', 'foo', 'REDIS_URL: must begin with redis:// or rediss://'],
  ['REDIS_URL', 'http://redis:6379', 'REDIS_URL: must begin with redis:// or rediss://'],
  ['REDIS_URL', '127.0.0.1:6379', 'REDIS_URL: must begin with redis:// or rediss://'],
  ['REDIS_URL', '/run/redis.sock', 'REDIS_URL: must begin with redis:// or rediss://'],
  ['REDIS_URL', 'redis://a:1,foo', 'REDIS_URL: must begin with redis:// or rediss://'],
  ['REDIS_URL', 'redis://', 'REDIS_URL: names no host'],
  ['REDIS_URL', 'redis:///1', 'REDIS_URL: names no host'],
  ['REDIS_URL', 'redis://a:99999', invalidUrl],
  ['REDIS_URL', 'redis://:zebra#1@redis:6379', invalidUrl],
  ['REDIS_URL', 'redis://:17#zebra@redis:6379', invalidUrl],
  ['REDIS_URL', 'redis://:zebra/1@redis:6379', invalidUrl],
  ['REDIS_URL', 'redis://u:17/zebra@redis:6379', invalidUrl],
  ['REDIS_URL', 'redis://u:17?zebra@redis:6379', invalidUrl],
  ['REDIS_URL', 'redis://:zebra%zz@redis:6379', invalidUrl],
  ['REDIS_URL', 'redis://:zebra,1@redis:6379', invalidUrl],
  ['REDIS_URL', 'redis+sentinel://', sentinelForm],
  ['REDIS_URL', 'redis+sentinel:///master', sentinelForm],
  ['REDIS_URL', 'rediss+sentinel://a:26379', sentinelForm],
  ['REDIS_URL', 'redis+sentinel://a:26379', sentinelForm],
  ['REDIS_URL', 'redis+sentinel://a:26379,/master', sentinelForm],
  ['REDIS_URL', 'redis+sentinel://a:26379,b:x/master', sentinelForm],
  ['REDIS_URL', 'redis+sentinel://:zebra#1@a:26379/master', invalidUrl],
  ['REDIS_URL', 'redis+sentinel://:zebra%zz@a:26379/master', invalidUrl],
  ['NODE_ENV', 'prod', 'NODE_ENV: must be production (also for staging), development or test'],
  ['NODE_ENV', 'Production', 'NODE_ENV: must be production'],
  ['NODE_ENV', 'production ', 'NODE_ENV: must be production'],
  ['NODE_ENV', 'staging', 'NODE_ENV: must be production'],
  ['ALLOWED_ORIGINS', 'https://a.com:99999', 'ALLOWED_ORIGINS'],
  ['MAX_SESIONS', '1', 'MAX_SESIONS: is not a setting: rename it to MAX_SESSIONS, or remove it'],
  ['MAX_SESSION', '1', 'rename it to MAX_SESSIONS'],
  ['MAX_SESSOINS', '1', 'rename it to MAX_SESSIONS'],
  ['max_sessions', '1', 'rename it to MAX_SESSIONS'],
  ['MAX-SESSIONS', '1', 'rename it to MAX_SESSIONS'],
  ['REDIS_URI', 'redis://:zebra@redis', 'REDIS_URI: is not a setting: rename it to REDIS_URL, or remove it'],
  ['MEMBER_JWKS_URI', 'zebra', 'rename it to MEMBER_JWKS_URL'],
  ['MEMBER_JWT_ISSUER', 'zebra', 'MEMBER_JWT_ISSUER: is not a setting: correct its name, or remove it'],
  ['SERVICE_JWT_SECRET_OLD', 'zebra', 'SERVICE_JWT_SECRET_OLD: is not a setting'],
])('%s=%s is refused, with the mend and without the value', (name, value, message) => {
  const refusal = (): unknown => {
    try {
      return read({ [name]: value })
    } catch (error) {
      return error
    }
  }
  expect(refusal()).toMatchObject({ name: 'ConfigError', message: expect.stringContaining(message) })
  expect(String(refusal())).not.toContain('zebra')
})

test.each([
  ['REDIS_URL', 'redis://user:p%23%2F%40%25@redis:6379'],
  ['REDIS_URL', 'redis://:p@ss@redis:6379'],
  ['REDIS_URL', 'rediss://[::1]:6379'],
  ['REDIS_URL', 'redis://a:7000, redis://b:7000'],
  ['REDIS_URL', 'redis+sentinel://user:p%23@a:26379,b/master'],
  ['REDIS_URL', 'rediss+sentinel://user:p%23@a:26379,b/master'],
  ['NODE_ENV', 'test'],
  ['HOSTNAME', 'gateway-1'],
  ['APP_PORT', '3000'],
  ['OPA_PORT', 'tcp://10.0.0.1:8181'],
  ['NOTIFY_API_PORT', 'tcp://10.0.0.1:8081'],
  ['REDIS_PORT', 'tcp://10.0.0.1:6379'],
  ['MAX_CONNECTIONS', '1'],
  ['DATABASE_URL', 'postgres://x'],
  ['SERVICE_JWKS_URL', 'https://a.example'],
  ['MEMBER_OF', 'x'],
])('%s=%s is accepted', (name, value) => {
  expect(() => read({ [name]: value })).not.toThrow()
})

test('a name that resembles a setting is accepted beside that setting, and when it is empty', () => {
  expect(() => read({ REDIS_URI: 'http://other', REDIS_URL: 'redis://redis' })).not.toThrow()
  expect(() => read({ MAX_SESIONS: '' })).not.toThrow()
})

test('no setting of one service is taken for a misspelt one of another', () => {
  const example = readFileSync(new URL('../../../.env.example', import.meta.url), 'utf8')
  const names = Array.from(example.matchAll(/^#?([A-Z_]+)=/gm), ([, name = '']) => name)
  expect(names.length).toBeGreaterThan(50)
  for (const name of names) {
    const others = names.filter((each) => each !== name).map((each) => [each, z.string().optional()])
    expect.soft(() => readConfig(z.object(Object.fromEntries(others)), { [name]: 'given' }), name).not.toThrow()
  }
})

test('every line is listed', () => {
  const wrong = { MAX_SESIONS: '1', NODE_ENV: 'prod', LOG_LEVEL: 'loud' }
  expect(() => read(wrong)).toThrow(/MAX_SESIONS: .*\n.*NODE_ENV: .*\n.*LOG_LEVEL: /)
})

test('the development secrets are refused in production', () => {
  const secret = { MEMBER_JWT_SECRET: developmentSecrets.member }
  expect(() => read({ ...secret, NODE_ENV: 'production' })).toThrow('not allowed in production')
  expect(() => read(secret)).not.toThrow()
})
