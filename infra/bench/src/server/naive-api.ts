import { buildOps, connectRedis, listen, openLog, Revocations, run } from '@tidings/chassis'
import { buildApp } from '@tidings/notify-api/http/app'
import { configFrom } from '@tidings/notify-api/config'
import { Metrics } from '@tidings/notify-api/metrics'
import type { Outbox } from '@tidings/notify-api/outbox/outbox'
import { Database } from '@tidings/notify-api/database/database'
import { InboxMembers } from '@tidings/notify-api/notification/inbox-member'
import { InboxStore } from '@tidings/notify-api/notification/inbox-store'
import { migrateWhenReachable } from '@tidings/notify-api/database/migration'
import { ReadStore } from '@tidings/notify-api/notification/read-store'
import { StatusStore } from '@tidings/notify-api/notification/status-store'
import { EscalationPolicy } from '@tidings/notify-api/reach/escalation'
import { openTasks } from '@tidings/notify-api/task/tasks'
import { createPool, type ResultSetHeader } from 'mysql2/promise'

/**
 * The baseline of posts: the simplest service that sends notifications. It has the same HTTP stack, validation and
 * table as notify-api, but runs one INSERT in autocommit and one PUBLISH for each request, and then responds. It has no outbox, so a
 * crash between the two loses the publication; it keeps no history to resume from; and `online` is always null.
 */
await run(async () => {
  const config = configFrom(process.env)
  const log = openLog('naive-api', config.logLevel)
  const metrics = new Metrics()
  await migrateWhenReachable(config.database.url, log)
  const pool = createPool({ uri: config.database.url, connectionLimit: 10, timezone: 'Z' })
  const redis = connectRedis(config.redis.url, {})
  const database = new Database(config.database.url, config.database)

  const outbox: Pick<Outbox, 'publish' | 'publishEach'> = {
    async publish(rows) {
      await Promise.all(this.publishEach(rows, { noneDeferred: true }))
    },
    publishEach(rows) {
      return rows.map(async ({ channel, body }) => (await redis.publish(channel, body)) > 0)
    },
  }
  const { publishTimeoutMs, task, taskStream } = config
  const members = new InboxMembers(config.broadcastLookbackDays)
  const { rollUpMs } = taskStream
  const tasks = openTasks({
    database,
    outbox,
    redis: config.redis,
    publishTimeoutMs,
    ...task,
    rollUpMs,
    log,
    onEnd: () => {},
    reach: { expedite: () => {} },
  })
  const app = await buildApp({
    config,
    log,
    metrics,
    deps: {
      sender: {
        async send({ memberId = 0, message, redirectPath = '', data }) {
          const [{ insertId }] = await pool.execute<ResultSetHeader>(
            'INSERT INTO notification (member_id, message, redirect_path, data) VALUES (?, ?, ?, ?)',
            [memberId, message, redirectPath, data ? JSON.stringify(data) : null],
          )
          const body = JSON.stringify({ memberId, notificationId: insertId, message, redirectPath, data })
          await redis.publish(`member:${memberId}:notification`, body)
          return { response: { notificationId: insertId, memberId, online: null }, replayed: false }
        },
        broadcast: unused,
      },
      outbox,
      publisher: {
        append: () => Promise.reject(new Error('the benchmark sends no messages')),
        listening: async (channels) => channels.map(() => null),
      },
      tasks,
      inbox: new InboxStore(database, members),
      reads: new ReadStore(database, members),
      escalations: new EscalationPolicy(config.escalation),
      statuses: new StatusStore(database),
      pushSubscriptions: { put: unused, remove: unused },
      sessions: { revocations: new Revocations(), revokeMember: unused, revokeSession: unused, of: unused },
    },
  })
  const ops = buildOps(metrics.registry, () => ({ failing: [] }))
  await listen(log, { host: config.host, app, port: config.port, ops, opsPort: config.opsPort })
  return {
    log,
    closeTimeoutMs: 10_000,
    async close() {
      await app.close()
      await tasks.close()
      redis.disconnect()
      await pool.end()
      await database.close()
      await ops.close()
    },
  }
})

function unused(): Promise<never> {
  return Promise.reject(new Error('the benchmark does not call this'))
}
