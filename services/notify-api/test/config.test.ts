import { readFileSync } from 'node:fs'
import { developmentSecrets, localOrigin, newVapidVariables } from '@tidings/local'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { configFrom } from '../src/config.ts'
import { hello, openStack, type Stack } from './fixture/notify-api.ts'

const required = {
  MYSQL_URL: 'mysql://x@x/x',
  MEMBER_JWT_SECRET: developmentSecrets.member,
  SERVICE_JWT_SECRET: developmentSecrets.service,
  ALLOWED_ORIGINS: localOrigin,
}

/** Least and largest value of each numeric setting. */
const bounds: Readonly<Record<string, readonly [least: number, most: number]>> = {
  DATABASE_CONNECTIONS: [2, 1_000],
  DATABASE_TIMEOUT_MS: [500, 60_000],
  SHUTDOWN_DELAY_SECONDS: [0, 600],
  MAX_BODY_BYTES: [1_024, 4_194_304],
  MAX_GROUP_ROWS: [1, 10_000],
  MAX_GROUP_BYTES: [1_024, 4_194_304],
  MAX_QUEUED_WRITES: [1, 1_000_000],
  MAX_QUEUED_BYTES: [65_536, 1_073_741_824],
  MAX_QUEUED_MS: [100, 60_000],
  MAX_SEND_BYTES: [65_536, 268_435_456],
  PUBLISH_TIMEOUT_MS: [100, 60_000],
  SERVICE_REQUESTS_PER_MINUTE: [1, 1_000_000_000],
  MEMBER_REQUESTS_PER_MINUTE: [1, 1_000_000_000],
  MAX_TASK_TEXT_BYTES: [1_024, 4_194_304],
  MAX_TASK_DATA_BYTES: [1_024, 4_194_304],
  MAX_TASK_EVENTS: [10, 10_000],
  TASK_LEASE_SECONDS: [1, 86_400],
  TASK_ROLLUP_MS: [1, 1_000],
  TASK_STREAM_IDLE_SECONDS: [1, 86_400],
  MAX_REVOCATIONS: [1, 100_000_000],
  PUSH_CONCURRENCY: [1, 10_000],
  PUSH_PER_ORIGIN: [1, 10_000],
  PUSH_TTL_SECONDS: [1, 2_419_200],
  MAX_PUSH_SUBSCRIPTIONS: [1, 100],
  PUSH_GRACE_SECONDS: [0, 3_600],
  BROADCAST_LOOKBACK_DAYS: [1, 36_500],
  WEBHOOK_TIMEOUT_MS: [100, 8_000],
  WEBHOOK_CONCURRENCY: [1, 1_000],
  WEBHOOK_MAX_ATTEMPTS: [1, 100],
  RETENTION_DAYS: [1, 36_500],
  RETENTION_INTERVAL_SECONDS: [1, 86_400],
}

let stack: Stack
beforeAll(async () => {
  stack = await openStack('config')
})
afterAll(() => stack.close())

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
  const source = readFileSync(new URL('../src/config.ts', import.meta.url), 'utf8')
  const names = Array.from(source.matchAll(/^ +([A-Z_]+): (?:positive|z\.coerce)/gm), ([, name]) => name)
  expect(names).toEqual(Object.keys(bounds))
})

test.each([
  ['', 'is required: mysql://user:password@host:3306/tidings'],
  ['postgres://u:zebra@db/tidings', 'must begin with mysql://: mysql://user:password@host:3306/tidings'],
  ['mysql://u:zebra@db:3306', 'names no database: mysql://user:password@host:3306/tidings'],
  ['mysql://u:zebra@db:3306/', 'names no database'],
  ['mysql://u:zebra@db:3306/?ssl={}', 'names no database'],
  ['mysql:///tidings', 'names no host'],
  ['mysql://u:zebra#1@db/tidings', 'is not a valid URL: percent-encode special characters'],
  ['mysql://u:17#zebra@db/tidings', 'is not a valid URL: percent-encode special characters'],
  ['mysql://u:17/zebra@db/tidings', 'is not a valid URL: percent-encode special characters'],
  ['mysql://u:17?zebra@db/tidings', 'is not a valid URL: percent-encode special characters'],
  ['mysql://u:zebra%zz@db/tidings', 'is not a valid URL: percent-encode special characters'],
  ['mysql://u:zebra@db/tidings?ssl=require', 'ssl must be true, or a JSON object of TLS options'],
  ['mysql://u:zebra@db/tidings?ssl=false', 'ssl must be true, or a JSON object'],
  ['mysql://u:zebra@db/tidings?ssl=', 'ssl must be true, or a JSON object'],
])('MYSQL_URL may not be %j', (value, message) => {
  const start = () => configFrom({ ...required, MYSQL_URL: value })
  expect(start).toThrow(`  MYSQL_URL: ${message}`)
  expect(start).not.toThrow('zebra')
})

test.each(['mysql://u:p%23%2F%40%25@db/tidings', 'mysql://db/tidings?ssl={}', 'mysql://[::1]/tidings?ssl=Amazon%20RDS'])(
  'MYSQL_URL may be %j',
  (url) => {
    expect(configFrom({ ...required, MYSQL_URL: url }).database.url).toBe(url)
  },
)

const vapid = newVapidVariables()

test.each([
  [{ VAPID_SUBJECT: '' }, 'VAPID_SUBJECT: is required when the other two VAPID_ variables are set'],
  [{ VAPID_PUBLIC_KEY: '', VAPID_SUBJECT: '' }, 'VAPID_PUBLIC_KEY: is required when the other two'],
  [{ VAPID_SUBJECT: 'operator@example.com' }, 'VAPID_SUBJECT: must be mailto: and an address, or an https: URL'],
  [{ VAPID_SUBJECT: 'mailto: <operator@example.com>' }, 'VAPID_SUBJECT: must be mailto:'],
  [{ VAPID_PRIVATE_KEY: newVapidVariables().VAPID_PRIVATE_KEY }, 'VAPID_PRIVATE_KEY: must be 32 bytes in base64url, the private'],
  [{ VAPID_PUBLIC_KEY: vapid.VAPID_PRIVATE_KEY }, 'VAPID_PRIVATE_KEY: must be 32 bytes'],
  [{ PUSH_PRIVATE_ADDRESSES: 'true' }, 'PUSH_PRIVATE_ADDRESSES: must be refuse or allow'],
])('with VAPID keys, %j is refused', (fault, message) => {
  expect(() => configFrom({ ...required, ...vapid, ...fault })).toThrow(`  ${message}`)
})

test('Web Push is off without VAPID keys', () => {
  expect(configFrom(required).push).toBeUndefined()
  expect(configFrom({ ...required, ...vapid, VAPID_SUBJECT: 'https://example.com/contact' }).push).toMatchObject({
    vapid: { publicKey: vapid.VAPID_PUBLIC_KEY },
    privateAddresses: 'refuse',
  })
})

const escalateForm = 'must be JSON such as {"order":{"push":true},"*":{"webhook":true,"afterSeconds":600}}'
test.each([
  ['order', escalateForm],
  ['[]', escalateForm],
  ['{"order":{}}', 'order.push: push or webhook must be true'],
  ['{"order":true}', 'order: must be false or an object'],
  ['{"order":{"push":1}}', 'order: push: Invalid input: expected boolean, received number'],
  ['{"*":{"webhook":true,"afterSeconds":604801}}', '*.afterSeconds: Too big'],
  ['{"*":{"webhook":true,"after":1}}', '*: Unrecognized key: "after"'],
  ['{"two words":{"push":true}}', 'two words: must be * or a kind'],
  ['{"order":{"push":true}}', 'order: push needs VAPID_PUBLIC_KEY'],
  ['{"order":false,"*":{"webhook":true}}', '*: webhook needs WEBHOOK_URL'],
])('ESCALATE may not be %s', (ESCALATE, message) => {
  expect(() => configFrom({ ...required, ESCALATE })).toThrow(`  ESCALATE: ${message}`)
})

test.each(['true', 'false', 'OFF', '0'])('MIGRATE may not be %s', (MIGRATE) => {
  expect(() => configFrom({ ...required, MIGRATE })).toThrow('  MIGRATE: must be on or off')
})

const secretOf = (bytes: number) => `whsec_${Buffer.alloc(bytes, 'zebra').toString('base64')}`
const webhook = { WEBHOOK_URL: 'https://hooks.example.com/tidings?tenant=7', WEBHOOK_SECRET: secretOf(24) }

test.each([
  ['zebra', 'must be an https:// or http:// URL'],
  ['ftp://zebra', 'must be an https:// or http:// URL'],
  ['https://zebra@hooks.example.com', 'URL without user, password'],
  ['https://hooks.example.com/#zebra', 'and fragment'],
])('WEBHOOK_URL may not be %j', (WEBHOOK_URL, message) => {
  const start = () => configFrom({ ...required, ...webhook, WEBHOOK_URL })
  expect(start).toThrow(message)
  expect(start).not.toThrow('zebra')
})

test.each([
  ['zebra', 'must be whsec_ and the base64'],
  ['whsec_zebra', 'must be whsec_ and the base64'],
  [secretOf(23), 'of 24 to 64 bytes'],
  [secretOf(65), 'of 24 to 64 bytes'],
  [secretOf(24).replace('whsec_', ''), 'must be whsec_'],
  [`${secretOf(24)} zebra`, 'must be whsec_'],
  [',', 'must be whsec_'],
  [Array(5).fill(secretOf(24)).join(' '), 'has more than 4 secrets'],
])('WEBHOOK_SECRET may not be %j', (WEBHOOK_SECRET, message) => {
  const start = () => configFrom({ ...required, ...webhook, WEBHOOK_SECRET })
  expect(start).toThrow(`WEBHOOK_SECRET: `)
  expect(start).toThrow(message)
  expect(start).not.toThrow('zebra')
})

test('WEBHOOK_URL and WEBHOOK_SECRET need each other; several secrets have spaces or commas between them', () => {
  const { WEBHOOK_URL, WEBHOOK_SECRET } = webhook
  expect(() => configFrom({ ...required, WEBHOOK_URL })).toThrow('WEBHOOK_SECRET: is required with WEBHOOK_URL')
  expect(() => configFrom({ ...required, WEBHOOK_SECRET })).toThrow('WEBHOOK_URL: is required with WEBHOOK_SECRET')
  expect(configFrom(required).webhook).toBeUndefined()
  const two = configFrom({ ...required, WEBHOOK_URL, WEBHOOK_SECRET: `${WEBHOOK_SECRET}, ${secretOf(64)}` })
  expect(two.webhook).toMatchObject({ url: WEBHOOK_URL, keys: [{ length: 24 }, { length: 64 }] })
})

test.each([
  ['db', true],
  ['127.0.0.1', false],
  ['[::1]', false],
])(
  'ssl=true in MYSQL_URL is TLS that verifies the certificate; of the host %s also the name in it: %s',
  (host, verifyIdentity) => {
    const { url } = configFrom({ ...required, MYSQL_URL: `mysql://u:p%23@${host}/tidings?ssl=true` }).database
    expect(url).toContain(`mysql://u:p%23@${host}/tidings?`)
    expect(JSON.parse(new URL(url).searchParams.get('ssl') ?? '')).toEqual({ minVersion: 'TLSv1.2', verifyIdentity })
  },
)

test.each([
  ['least', 0, { SERVICE_REQUESTS_PER_MINUTE: '9' }],
  ['largest', 1, { SHUTDOWN_DELAY_SECONDS: '0' }],
] as const)('a notification and a task are accepted with the %s value of every setting', async (_, index, env) => {
  const extremes = Object.entries(bounds).map(([name, bound]) => [name, String(bound[index])] as const)
  const api = await stack.start({ ...Object.fromEntries(extremes), ...env })
  expect(await api.send(hello)).toMatchObject({ status: 201 })
  const taskId = crypto.randomUUID()
  expect(await api.post('/task', { taskId, memberId: 1, kind: 'test' })).toMatchObject({ status: 201 })
  expect(await api.post(`/task/${taskId}/event`, { type: 'append', text: 'x' })).toMatchObject({ status: 202 })
  expect(await api.post(`/task/${taskId}/finish`, { status: 'succeeded' })).toMatchObject({ status: 200 })
  expect(await api.member(1).get('/notification')).toMatchObject({ status: 200 })
  expect(await api.stop()).toEqual({ code: 0, signal: null })
})

async function responds(url: string): Promise<boolean> {
  try {
    await fetch(url)
    return true
  } catch {
    return false
  }
}

// Other systems have only the first address of the loopback network.
test.skipIf(process.platform !== 'linux')('OPS_HOST is the address of the ops port alone', async () => {
  const service = await stack.start({ HOST: '127.0.0.1', OPS_HOST: '127.0.0.2' })
  const origins = [
    `127.0.0.2:${service.opsPort}`,
    `127.0.0.1:${service.opsPort}`,
    `127.0.0.1:${service.port}`,
    `127.0.0.2:${service.port}`,
  ]
  expect(await Promise.all(origins.map((each) => responds(`http://${each}/live`)))).toEqual([true, false, true, false])
  await service.stop()
})
