import { readFileSync } from 'node:fs'
import { developmentSecrets, localOrigin, startService } from '@tidings/local'
import { describe, expect, test } from 'vitest'
import { configFrom } from '../src/config.ts'
import { nextMessage, openSession, sendFrame, startGatewayStack, subscribe } from './fixture/gateway.ts'

const required = { MEMBER_JWT_SECRET: developmentSecrets.member, ALLOWED_ORIGINS: localOrigin }

/** Least and largest value of each numeric setting. */
const bounds: Readonly<Record<string, readonly [least: number, most: number]>> = {
  DRAIN_SECONDS: [1, 2_000_000],
  SESSION_MAX_AGE_SECONDS: [5, 31_536_000],
  MAX_SESSIONS: [1, 1_000_000],
  MAX_SESSIONS_PER_MEMBER: [1, 10_000],
  MAX_SUBSCRIPTIONS_PER_SESSION: [1, 10_000],
  MAX_FRAME_BYTES: [1_024, 16_777_216],
  MAX_HEADERS: [8, 1_000],
  MAX_HEADER_BYTES: [256, 65_536],
  MAX_FRAMES_PER_SECOND: [10, 1_000_000],
  MAX_UNACKED_MESSAGES: [1, 100_000],
  MAX_TRANSACTIONS: [1, 1_000],
  MAX_TRANSACTION_FRAMES: [1, 10_000],
  MAX_BUFFERED_BYTES: [131_072, 1_073_741_824],
  MAX_BUFFERED_MS: [1_000, 2_147_483_647],
  MAX_REPLAY_BYTES: [16_384, 1_073_741_824],
  CONNECT_TIMEOUT_MS: [1_000, 2_147_483_647],
  HEART_BEAT_MS: [1_000, 999_999_999],
}

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')

describe.each(Object.entries(bounds))('%s', (name, [least, most]) => {
  test.each([least, most])('may be %i', (value) => {
    expect(() => configFrom({ ...required, [name]: String(value) })).not.toThrow()
  })

  test.each([
    [least - 1, `  ${name}: is at least ${least}`],
    [most + 1, `  ${name}: is at most ${most}`],
  ])('may not be %i', (value, line) => {
    expect(() => configFrom({ ...required, [name]: String(value) })).toThrow(line)
  })

  test.each(['-1', '1.5', 'ten', '1e999', 'Infinity', 'NaN'])('may not be %s', (value) => {
    expect(() => configFrom({ ...required, [name]: value })).toThrow(`  ${name}: `)
  })
})

test('every number of the configuration is bounded', () => {
  const names = Array.from(read('../src/config.ts').matchAll(/^ +([A-Z_]+): positive/gm), ([, name]) => name)
  expect(names).toEqual(Object.keys(bounds))
})

test('PROTOCOL.md gives the bounds of every limit', () => {
  const protocol = read('../../../packages/protocol/PROTOCOL.md')
  const rows = [...protocol.matchAll(/^\| `([A-Z_]+)` +\| [^|]+ \| \d+ +\| (\d+) to (\d+) +\|/gm)]
  expect(rows).toHaveLength(Object.keys(bounds).length - 2)
  for (const [, name = '', least, most] of rows) expect([Number(least), Number(most)], name).toEqual(bounds[name])
})

test.each([
  ['least', 0],
  ['largest', 1],
] as const)('the gateway delivers a message that is acknowledged with the %s value of every setting', async (_, index) => {
  const stack = await startGatewayStack()
  try {
    const extremes = Object.entries(bounds).map(([name, bound]) => [name, String(bound[index])] as const)
    const gateway = await stack.startGateway(Object.fromEntries(extremes))
    const session = await openSession(gateway, { heartBeat: '10000,10000' })
    await subscribe(session, '0', '/member/queue/notification', { ack: 'client' })
    for (const body of ['1', '2']) {
      await stack.publisher.publish('member:1:notification', body)
      const message = await nextMessage(session)
      expect(message.body).toBe(body)
      sendFrame(session, 'ACK', { id: message.headers.get('ack') ?? '', receipt: body })
      expect((await session.nextFrame()).headers.get('receipt-id')).toBe(body)
    }
    session.socket.terminate()
  } finally {
    await stack.close()
  }
})

test('the gateway refuses to start with a heart-beat that its sweep cannot keep, and names the least value', async () => {
  await expect(startService('realtime-gateway', { HEART_BEAT_MS: '200' })).rejects.toThrow('HEART_BEAT_MS: is at least 1000')
})

test.each([
  ['', []],
  ['news', ['news']],
  ['news, order.*,*', ['news', 'order.*', '*']],
])('PUBLIC_TOPICS may be %j', (list, patterns) => {
  expect(configFrom({ ...required, PUBLIC_TOPICS: list }).publicTopics).toEqual(patterns)
})

test.each(['news,', '/topic/news', '*.news', 'a b', 'a'.repeat(129)])('PUBLIC_TOPICS may not be %j', (list) => {
  expect(() => configFrom({ ...required, PUBLIC_TOPICS: list })).toThrow('PUBLIC_TOPICS')
})
