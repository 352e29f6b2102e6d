import { expect, test } from 'vitest'
import { z } from 'zod'
import { readConfig, serviceVariables } from './config.ts'
import { redisTarget } from './redis-target.ts'

const schema = z.object(serviceVariables({ service: 1, ops: 2 })).transform(redisTarget)
const read = (variables: Record<string, string>) => readConfig(schema, { ALLOWED_ORIGINS: 'https://a.example', ...variables })

test.each([
  ['redis://127.0.0.1:6379/1', 1],
  ['redis://user:p%2F2@127.0.0.1/15?family=6', 15],
  ['rediss://redis.example:6380?db=3', 3],
  ['redis+sentinel://a:26379,b:26379/master?db=2', 2],
  ['redis://a:7000,redis://b:7000/4', 4],
])('refuses %s without a prefix, and names the mend', (REDIS_URL, database) => {
  expect(() => read({ REDIS_URL })).toThrow(
    `REDIS_URL: has the database number ${database}, which Redis ignores for Pub/Sub: set CHANNEL_PREFIX, or use database 0`,
  )
  expect(read({ REDIS_URL, CHANNEL_PREFIX: 'staging' })).toEqual({ url: REDIS_URL, prefix: 'staging:' })
})

test.each([
  'redis://127.0.0.1:6379',
  'redis://127.0.0.1:6379/',
  'redis://127.0.0.1/0',
  'redis+sentinel://a:1,b:2/7',
  'rediss://a?db=0',
])('accepts %s without a prefix', (REDIS_URL) => {
  expect(read({ REDIS_URL })).toEqual({ url: REDIS_URL, prefix: '' })
})

test.each(['staging:', 'a b', '{a}', 'a*', '스테이징', 'x'.repeat(33)])('refuses the prefix %j', (CHANNEL_PREFIX) => {
  expect(() => read({ CHANNEL_PREFIX })).toThrow('CHANNEL_PREFIX: must be 1 to 32 characters of A-Z a-z 0-9 . _ -')
})
