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
import { quantile } from '../measure/statistics.ts'
import { cpuSeconds } from '../measure/usage.ts'
import { memberIds, type Scenario } from './scenario.ts'

const members = (quick: boolean) => (quick ? 50 : 1_000)
/** Posts of single notifications at a time. */
const concurrentPosts = 16
const deadlineMs = 120_000

/** Pushes from one notify-api to a push service on the loopback that decrypts every message. Fails when one is missing or comes twice. */
export const push: Scenario = {
  name: 'push',
  title: (quick) =>
    `Push: to ${members(quick).toLocaleString('en')} members without a connection, each with one browser, sent one by one and then all at once`,
  metrics: [
    { id: 'first', label: 'First push after the first POST', unit: 'ms', lowerIsBetter: true },
    { id: 'p50', label: 'POST to push, median', unit: 'ms', lowerIsBetter: true },
    { id: 'largest', label: 'POST to push, largest', unit: 'ms', lowerIsBetter: true },
    { id: 'rate', label: 'Pushes per second, all at once', unit: '/s', lowerIsBetter: false },
    { id: 'cpu', label: 'CPU per push, notify-api', unit: 'µs', lowerIsBetter: true },
  ],
  charts: [],
  async run({ quick, rounds, record }) {
    const database = await startDatabase()
    const redis = await startRedis()
    const pushService = await startPushService()
    const api = await startService('notify-api', {
      ...newVapidVariables(),
      MYSQL_URL: await createDatabase(database.url, 'bench_push'),
      REDIS_URL: redis.url,
      PUSH_PRIVATE_ADDRESSES: 'allow',
    })
    const call = async (method: string, path: string, headers: Record<string, string>, body: unknown) => {
      const init = { method, headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(body) }
      const response = await fetch(api.url + path, init)
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`)
    }
    const ids = memberIds(members(quick))
    const browsers = ids.map(() => pushService.subscribe())
    await inParallel(browsers, async ({ body }, at) => {
      const authorization = `Bearer ${memberToken(at + 1)}`
      await call('PUT', '/push/subscription', { authorization, origin: localOrigin }, body)
    })
    const send = (to: { memberId: number } | { memberIds: number[] }) => {
      const content = { message: 'Your order was shipped.', redirectPath: '/order/1', escalate: { push: true } }
      return call('POST', '/notification/send', { authorization: `Bearer ${serviceToken()}` }, { ...to, ...content })
    }

    const beganAt = Date.now()
    const latenciesMs: number[] = []
    await inParallel(browsers, async ({ messages }, at) => {
      const postedAt = Date.now()
      await send({ memberId: at + 1 })
      await waitFor(() => messages.length > 0, { what: 'the push', deadlineMs })
      latenciesMs.push((messages[0]?.receivedAt ?? Number.NaN) - postedAt)
    })
    await untilEach(browsers, 1)
    record('Tidings', 'first', Math.min(...browsers.map(({ messages }) => messages[0]?.receivedAt ?? Number.NaN)) - beganAt)
    record('Tidings', 'p50', quantile(latenciesMs, 0.5))
    record('Tidings', 'largest', Math.max(...latenciesMs))

    for (let round = 1; round <= rounds; round++) {
      const cpuBefore = cpuSeconds([api.pid])
      const postedAt = Date.now()
      await send({ memberIds: ids })
      await untilEach(browsers, round + 1)
      const last = Math.max(...browsers.map(({ messages }) => messages.at(-1)?.receivedAt ?? Number.NaN))
      record('Tidings', 'rate', (ids.length * 1_000) / (last - postedAt))
      record('Tidings', 'cpu', ((cpuSeconds([api.pid]) - cpuBefore) / ids.length) * 1e6)
    }
    await api.stop()
    await pushService.close()
    await Promise.all([redis.stop(), database.stop()])
  },
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
