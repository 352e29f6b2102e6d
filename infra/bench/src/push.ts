import {
  createDatabase,
  localOrigin,
  memberToken,
  newVapidVariables,
  type PushServiceSubscription,
  serviceToken,
  startDatabase,
  startPushService,
  startRedis,
  startService,
  waitFor,
} from '@tidings/local'
import { cpuSeconds } from './cpu.ts'
import { median } from './load.ts'

const members = Number(process.env['BENCH_MEMBERS'] ?? 1_000)
const rounds = Number(process.env['BENCH_ROUNDS'] ?? 5)
/** Posts of single notifications at a time. */
const concurrentPosts = 16
const deadlineMs = 120_000

/**
 * Measures pushes to members without a connection, each with one browser, from one notify-api to a push service on the loopback that decrypts
 * every message: first single sends, then sends to all members at once. Fails when a message is missing or comes twice.
 *
 * `BENCH_MEMBERS` (default 1000) and `BENCH_ROUNDS` (default 5) set the size of the run.
 */
const database = await startDatabase()
const redis = await startRedis()
const pushService = await startPushService()
const api = await startService('notify-api', {
  ...newVapidVariables(),
  MYSQL_URL: await createDatabase(database.url, 'bench_push'),
  REDIS_URL: redis.url,
  PUSH_PRIVATE_ADDRESSES: 'allow',
})
const browsers = Array.from({ length: members }, () => pushService.subscribe())
await inParallel(browsers, async ({ body }, at) => {
  const authorization = `Bearer ${memberToken(at + 1)}`
  await call('PUT', '/push/subscription', { authorization, origin: localOrigin }, body)
})
const authorization = `Bearer ${serviceToken()}`
const content = { message: 'Your order was shipped.', redirectPath: '/order/1', escalate: { push: true } }

const beganAt = Date.now()
const latenciesMs: number[] = []
await inParallel(browsers, async ({ messages }, at) => {
  const postedAt = Date.now()
  await call('POST', '/notification/send', { authorization }, { memberId: at + 1, ...content })
  await waitFor(() => messages.length > 0, { what: 'the push', deadlineMs })
  latenciesMs.push((messages[0]?.receivedAt ?? Number.NaN) - postedAt)
})
await untilEach(browsers, 1)
console.log(`${members} single sends, ${concurrentPosts} at a time: each was pushed once`)
console.log(`first push after the first POST (ms)     ${Math.min(...browsers.map(firstAt)) - beganAt}`)
console.log(`POST to push, median and largest (ms)    ${median(latenciesMs)} ${Math.max(...latenciesMs)}`)

const rates: number[] = []
const cpuBefore = cpuSeconds([api.pid])
for (let round = 2; round < rounds + 2; round++) {
  const memberIds = browsers.map((_, at) => at + 1)
  const postedAt = Date.now()
  await call('POST', '/notification/send', { authorization }, { memberIds, ...content })
  await untilEach(browsers, round)
  rates.push((members * 1_000) / (Math.max(...browsers.map(lastAt)) - postedAt))
}
const cpuMs = ((cpuSeconds([api.pid]) - cpuBefore) * 1_000) / (members * rounds)
console.log(`sends to ${members} members, ${rounds} rounds: each was pushed once`)
console.log(
  `pushes/s, median and all                 ${median(rates).toFixed(0)} (target >= 500) of ${rates.map(Math.round).join(' ')}`,
)
console.log(`CPU of notify-api (ms/push)              ${cpuMs.toFixed(2)}`)

await api.stop()
await pushService.close()
await redis.stop()
await database.stop()

function firstAt({ messages }: PushServiceSubscription): number {
  return messages[0]?.receivedAt ?? Number.NaN
}

function lastAt({ messages }: PushServiceSubscription): number {
  return messages.at(-1)?.receivedAt ?? Number.NaN
}

/** Resolves when each browser has so many messages. Rejects when one has more. */
async function untilEach(subscriptions: readonly PushServiceSubscription[], count: number): Promise<void> {
  await waitFor(() => subscriptions.every(({ messages }) => messages.length >= count), { what: 'all pushes', deadlineMs })
  if (subscriptions.some(({ messages }) => messages.length > count)) throw new Error('a message came twice')
}

async function inParallel<Item>(items: readonly Item[], work: (item: Item, at: number) => Promise<void>): Promise<void> {
  const entries = items.entries()
  const worker = async () => {
    for (const [at, item] of entries) await work(item, at)
  }
  await Promise.all(Array.from({ length: concurrentPosts }, worker))
}

async function call(method: string, path: string, headers: Record<string, string>, body: unknown): Promise<void> {
  const response = await fetch(api.url + path, {
    method,
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`)
}
