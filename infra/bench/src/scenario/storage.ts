import { setTimeout as delay } from 'node:timers/promises'
import { queryDatabase, serviceToken, startDatabase, startRedis, startService, waitFor } from '@tidings/local'
import { createTask, sendNotification } from '@tidings/producer'
import { Redis } from 'ioredis'
import { cpuSeconds, untilIdle } from '../measure/usage.ts'
import { memberIds, type Scenario } from './scenario.ts'

const members = (quick: boolean) => (quick ? 100 : 1_000)
const notificationsPerMember = 10
/** Text of the task whose memory is measured. */
const textPieces = 200
const textPiece = 'the answer '.repeat(46)
const betweenPiecesMs = 5

/** What is kept, and what it costs to store. Tidings only, in servers of its own. */
export const storage: Scenario = {
  name: 'storage',
  title: (quick) =>
    `Storage: ${notificationsPerMember} notifications of each of ${members(quick).toLocaleString('en')} members, sent to all at once, and a task with 100 KB of text`,
  metrics: [
    { id: 'history-member', label: 'Redis memory per member', unit: 'bytes', lowerIsBetter: true },
    { id: 'history', label: 'Redis memory per notification', unit: 'bytes', lowerIsBetter: true },
    { id: 'row', label: 'MySQL, data and indexes per notification', unit: 'bytes', lowerIsBetter: true },
    { id: 'api', label: 'CPU per notification, notify-api', unit: 'µs', lowerIsBetter: true },
    { id: 'database', label: 'CPU per notification, MySQL', unit: 'µs', lowerIsBetter: true },
    { id: 'redis', label: 'CPU per notification, Redis', unit: 'µs', lowerIsBetter: true },
    { id: 'task', label: 'Redis memory of the running task', unit: 'bytes', lowerIsBetter: true },
    { id: 'task-end', label: 'Redis memory after its end', unit: 'bytes', lowerIsBetter: true },
  ],
  charts: [],
  async run({ quick, record }) {
    const database = await startDatabase()
    const redis = await startRedis()
    const api = await startService('notify-api', { MYSQL_URL: database.url, REDIS_URL: redis.url })
    const admin = new Redis(redis.url)
    const usedMemory = async () => Number(/used_memory:(\d+)/.exec(await admin.info('memory'))?.[1])
    const caller = { url: api.url, token: serviceToken() }
    const servers = [api.pid, database.process.pid, redis.process.pid]
    await untilIdle(servers)

    const memoryBefore = await usedMemory()
    const cpuBefore = servers.map((pid) => cpuSeconds([pid]))
    for (let count = 0; count < notificationsPerMember; count++) {
      const notification = { message: '새로운 알림이 도착했습니다. Your report is ready.', redirectPath: '/dashboard' }
      await sendNotification(caller, { memberIds: memberIds(members(quick)), ...notification })
    }
    const sent = members(quick) * notificationsPerMember
    const histories = async () => (await admin.dbsize()) >= members(quick)
    await waitFor(histories, { what: 'all histories', deadlineMs: 60_000 })
    await untilIdle(servers)
    const cpu = servers.map((pid, index) => ((cpuSeconds([pid]) - (cpuBefore[index] ?? 0)) / sent) * 1e6)
    const memory = (await usedMemory()) - memoryBefore
    record('Tidings', 'history-member', memory / members(quick))
    record('Tidings', 'history', memory / sent)
    await queryDatabase(database.url, 'ANALYZE TABLE notification')
    const [size] = await queryDatabase<{ bytes: number }>(
      database.url,
      "SELECT data_length + index_length AS bytes FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'notification'",
    )
    record('Tidings', 'row', Number(size?.bytes) / sent)
    for (const [index, metric] of ['api', 'database', 'redis'].entries()) record('Tidings', metric, cpu[index] ?? 0)

    const task = await createTask({ ...caller, memberId: 1, kind: 'chat' })
    await task.pipe(pieces())
    const keys = await admin.keys(`*${task.taskId}*`)
    const taskBytes = async () => {
      const used = await Promise.all(keys.map((key) => admin.memory('USAGE', key, 'SAMPLES', 0)))
      return used.reduce<number>((total, one) => total + (one ?? 0), 0)
    }
    record('Tidings', 'task', await taskBytes())
    await task.finish({ status: 'succeeded' })
    record('Tidings', 'task-end', await taskBytes())
    admin.disconnect()
    await api.stop()
    await Promise.all([redis.stop(), database.stop()])
  },
}

async function* pieces(): AsyncGenerator<string, void> {
  for (let count = 0; count < textPieces; count++) {
    yield textPiece
    await delay(betweenPiecesMs)
  }
}
