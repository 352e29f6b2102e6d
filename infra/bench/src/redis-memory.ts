import { createDatabase, serviceToken, startDatabase, startRedis, startService, waitFor } from '@tidings/local'
import { Redis } from 'ioredis'
import { cpuSeconds } from './cpu.ts'

const members = Number(process.env['BENCH_MEMBERS'] ?? 1_000)
const notificationsPerMember = 10
const bytesPerMegabyte = 1_000_000

/**
 * Measures what notifications cost in Redis and MySQL: memory of the history of a member, CPU of each server for each notification, and the
 * bytes of its row. Each send goes to all members, so the CPU of notify-api is that of the cheapest case.
 *
 * `BENCH_MEMBERS` (default 1,000, at most 1,000) sets the length of the run.
 */
const database = await startDatabase()
const redis = await startRedis()
const databaseUrl = await createDatabase(database.url, 'bench_memory')
const api = await startService('notify-api', { MYSQL_URL: databaseUrl, REDIS_URL: redis.url })
const admin = new Redis(redis.url)
const memberIds = Array.from({ length: members }, (_, index) => index + 1)

const before = await usedMemory()
const cpuBefore = [api, database.process, redis.process].map(({ pid }) => cpuSeconds([pid]))
for (let count = 0; count < notificationsPerMember; count++) {
  const response = await fetch(`${api.url}/notification/send`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${serviceToken()}` },
    body: JSON.stringify({ memberIds, message: '새로운 알림이 도착했습니다. Your report is ready.', redirectPath: '/dashboard' }),
  })
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
}
const histories = async () => (await admin.dbsize()) >= members
await waitFor(histories, { what: 'all histories', deadlineMs: 60_000 })
const sent = members * notificationsPerMember
const [apiCpu = 0, databaseCpu = 0, redisCpu = 0] = [api, database.process, redis.process].map(
  ({ pid }, at) => ((cpuSeconds([pid]) - (cpuBefore[at] ?? 0)) / sent) * 1e6,
)
const memory = (await usedMemory()) - before
console.log(`${members} members, ${notificationsPerMember} notifications each`)
console.log(
  `Redis: ${Math.round(memory / members)} bytes a member, ${Math.round(memory / sent)} a notification, ${(memory / bytesPerMegabyte).toFixed(1)} MB in all`,
)
console.log(
  `CPU for each notification (µs): notify-api ${apiCpu.toFixed(1)}, MySQL ${databaseCpu.toFixed(1)}, Redis ${redisCpu.toFixed(1)}`,
)
admin.disconnect()
await api.kill()
await Promise.all([redis.stop(), database.stop()])

async function usedMemory(): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(await admin.info('memory'))?.[1])
}
