import { buildOps, listen, openLog, type RunningService, run } from '@tidings/chassis'
import { buildApp } from './http/app.ts'
import { configFrom } from './config.ts'
import { Idempotency } from './notification/idempotency.ts'
import { Metrics } from './metrics.ts'
import { Outbox } from './outbox/outbox.ts'
import { readiness } from './readiness.ts'
import { RedisPublisher } from './outbox/redis-publisher.ts'
import { Retention } from './retention/retention.ts'
import { Database } from './database/database.ts'
import { IdempotencyStore } from './notification/idempotency-store.ts'
import { InboxStore } from './notification/inbox-store.ts'
import { migrateWhenReachable } from './database/migration.ts'
import { NotificationStore } from './notification/store.ts'
import { OutboxStore } from './outbox/store.ts'
import { ReadStore } from './notification/read-store.ts'
import { RetentionStore } from './retention/store.ts'
import { openTasks } from './task/tasks.ts'

await run(async (): Promise<RunningService> => {
  const config = configFrom(process.env)
  const log = openLog('notify-api', config.logLevel)
  const metrics = new Metrics()

  await migrateWhenReachable(config.database.url, log)
  const database = new Database(config.database.url, config.database)
  const writer = new Database(config.database.url, { ...config.database, connections: 1, scripts: true })
  const notifications = await NotificationStore.open(writer, { limits: config.group, onCommit: metrics.onCommit })
  const answers = new IdempotencyStore(database, config.group)
  const publisher = new RedisPublisher(config.redisUrl, { timeoutMs: config.publishTimeoutMs, log, onPublish: metrics.onPublish })
  const outboxStore = new OutboxStore(database)
  const outbox = new Outbox({ store: outboxStore, publisher, log, onSweep: metrics.onSweep })
  const retention = new Retention({
    store: new RetentionStore(database),
    days: config.retention.days,
    intervalMs: config.retention.intervalMs,
    log,
    onPass: metrics.onRetention,
  })
  const idempotency = new Idempotency(answers, log)
  const inbox = new InboxStore(database)
  const reads = new ReadStore(database)
  const { redisUrl, publishTimeoutMs, task, taskStream } = config
  const tasks = openTasks({
    database,
    outbox,
    redisUrl,
    publishTimeoutMs,
    ...task,
    rollUpMs: taskStream.rollUpMs,
    log,
    onEnd: metrics.onTaskEnd,
  })
  const parts = { notifications, inbox, reads, outboxStore, outbox, idempotency, tasks }
  const app = await buildApp({ config, log, metrics, parts })
  const ops = buildOps(metrics.registry, readiness({ database, publisher, metrics }))
  // Who posts once we say that we listen is told whether the member is online. While Redis is away, posts are taken all the same.
  await Promise.all([publisher.opened(), tasks.untilConnected()])
  await listen(log, { host: config.host, app, port: config.port, ops, opsPort: config.opsPort })

  return {
    log,
    closeTimeoutMs: 30_000,
    async close() {
      await app.close()
      await tasks.close()
      await retention.close()
      await notifications.close()
      await answers.close()
      await outbox.close()
      publisher.close()
      await writer.close()
      await database.close()
      await ops.close()
    },
  }
})
