import { queryDatabase, serviceToken, startDatabase, startRedis, startService } from '@tidings/local'
import { sendNotification } from '@tidings/producer'
import { Redis } from 'ioredis'
import { pinServer } from '../measure/pin.ts'
import { timedPath } from '../load/publication.ts'
import { cpuSeconds, untilIdle } from '../measure/usage.ts'
import { type Context, memberIds, type Scenario } from './scenario.ts'

const sessions = (quick: boolean) => (quick ? 300 : 5_000)
/** Notifications of each member while it is not connected. */
const missedPerMember = 2
/** Members of one `POST /notification/send`. */
const membersPerPost = 1_000

export const resumeStorm: Scenario = {
  name: 'resume',
  title: (quick) =>
    `Resume storm: a gateway is killed, and its ${sessions(quick).toLocaleString('en')} sessions come back to another one, each with ${missedPerMember} missed messages`,
  metrics: [
    { id: 'seconds', label: 'Time until the last session is complete', unit: 's', lowerIsBetter: true },
    { id: 'cpu', label: 'CPU of the gateway per session', unit: 'µs', lowerIsBetter: true },
    { id: 'redis', label: 'CPU of Redis per session', unit: 'µs', lowerIsBetter: true },
    { id: 'commands', label: 'Commands of Redis per session', unit: '', lowerIsBetter: true },
    { id: 'queries', label: 'Queries of MySQL', unit: '', lowerIsBetter: true, mayBeZero: true },
    { id: 'lost', label: 'Messages lost', unit: '', lowerIsBetter: true, mayBeZero: true },
  ],
  charts: [],
  async run(context) {
    for (let round = 0; round < Math.min(context.rounds, 3); round++) await resumeOnce(context)
  },
}

/** Only Tidings: the other systems of the default run have nothing to resume from. */
async function resumeOnce({ load, quick, record }: Context): Promise<void> {
  const redis = await startRedis()
  // A server of its own: the other systems query the shared one.
  const database = await startDatabase()
  const databaseUrl = database.url
  const api = await startService('notify-api', { MYSQL_URL: databaseUrl, REDIS_URL: redis.url })
  const gateways = await Promise.all(
    [1, 2].map(() => startService('realtime-gateway', { REDIS_URL: redis.url, NOTIFY_API_URL: api.url })),
  )
  const [killed, other] = gateways as [(typeof gateways)[0], (typeof gateways)[0]]
  for (const { pid } of [api, ...gateways]) pinServer(pid)
  const ids = memberIds(sessions(quick))
  const admin = new Redis(redis.url)
  const commands = async () => Number(/total_commands_processed:(\d+)/.exec(await admin.info('stats'))?.[1])
  const queries = async () =>
    Number((await queryDatabase<{ Value: string }>(databaseUrl, "SHOW GLOBAL STATUS LIKE 'Questions'"))[0]?.Value)
  const notifyAll = async () => {
    for (let start = 0; start < ids.length; start += membersPerPost) {
      await sendNotification(
        { url: api.url, token: serviceToken() },
        {
          memberIds: ids.slice(start, start + membersPerPost),
          message: '새로운 알림이 도착했습니다.',
          redirectPath: timedPath(),
        },
      )
    }
  }

  const before = await load.open({ wire: 'stomp', port: killed.port }, ids, [['personal']], { keepsPosition: true })
  await notifyAll()
  await before.received(ids.length)
  const lastMessageIds = await before.lastMessageIds()
  await killed.kill()
  await before.close()
  for (let count = 0; count < missedPerMember; count++) await notifyAll()
  // Nothing but the gateway and Redis is left to resume from.
  await untilIdle([api.pid, redis.process.pid])
  await api.stop()

  await untilIdle([other.pid])
  const queriesBefore = await queries()
  const ownQueries = (await queries()) - queriesBefore
  const servers = [other.pid, redis.process.pid]
  const [gatewayBefore = 0, redisBefore = 0] = servers.map((pid) => cpuSeconds([pid]))
  const [commandsBefore, startedAt, queriesAtStart] = [await commands(), performance.now(), await queries()]
  const after = await load.open({ wire: 'stomp', port: other.port }, ids, [['personal']], { lastMessageIds })
  const { messages } = await after.received(ids.length * missedPerMember)
  record('Tidings', 'seconds', (performance.now() - startedAt) / 1_000)
  record('Tidings', 'cpu', ((cpuSeconds([other.pid]) - gatewayBefore) / ids.length) * 1e6)
  record('Tidings', 'redis', ((cpuSeconds([redis.process.pid]) - redisBefore) / ids.length) * 1e6)
  record('Tidings', 'commands', ((await commands()) - commandsBefore) / ids.length)
  record('Tidings', 'queries', (await queries()) - queriesAtStart - ownQueries)
  record('Tidings', 'lost', ids.length * missedPerMember - messages)
  await after.close()
  admin.disconnect()
  await other.stop()
  await redis.stop()
  await database.stop()
}
