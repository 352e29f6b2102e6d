import { buildOps, listen, openLog, type Readiness, RedisPermissions, type RunningService, run } from '@tidings/chassis'
import { configFrom } from './config.ts'
import { Database } from './database/database.ts'
import { Lease } from './database/lease.ts'
import { migrateWhenReachable, untilMigrated } from './database/migration.ts'
import { buildApp } from './http/app.ts'
import { openConnections } from './http/connection.ts'
import { Metrics } from './metrics.ts'
import { neededCommands } from './needed-command.ts'
import { Idempotency } from './notification/idempotency.ts'
import { IdempotencyStore } from './notification/idempotency-store.ts'
import { InboxMembers } from './notification/inbox-member.ts'
import { InboxStore } from './notification/inbox-store.ts'
import { ReadStore } from './notification/read-store.ts'
import { StatusStore } from './notification/status-store.ts'
import { Sender } from './notification/sender.ts'
import { Outbox } from './outbox/outbox.ts'
import { RedisPublisher } from './outbox/redis-publisher.ts'
import { OutboxStore } from './outbox/store.ts'
import { PushSubscriptions } from './push/subscription-store.ts'
import { WebPush } from './push/web-push.ts'
import { EscalationPolicy } from './reach/escalation.ts'
import { Reach } from './reach/reach.ts'
import { EscalationStore } from './reach/store.ts'
import { readiness } from './readiness.ts'
import { Expiry } from './retention/expiry.ts'
import { Retention } from './retention/retention.ts'
import { RetentionStore } from './retention/store.ts'
import { RedisSessions } from './session/redis-sessions.ts'
import { SessionControl } from './session/session-control.ts'
import { RevocationStore } from './session/store.ts'
import { openTasks } from './task/tasks.ts'
import { Webhook } from './webhook/webhook.ts'

/** How long the close may take after the shutdown delay. */
const closeMs = 30_000

const unready = (reason: string) => (): Readiness => ({ failing: [reason] })

await run(async (): Promise<RunningService> => {
  const config = configFrom(process.env)
  const log = openLog('notify-api', config.logLevel)
  const metrics = new Metrics()

  // Before MySQL is there, so that the process counts as alive while it waits.
  let ready: () => Readiness | Promise<Readiness> = unready('mysql')
  const ops = buildOps(metrics.registry, () => ready())
  await ops.listen({ host: config.opsHost, port: config.opsPort })
  if (config.migrate) await migrateWhenReachable(config.database.url, log)
  else await untilMigrated(config.database.url, log, () => (ready = unready('migration')))
  ready = unready('starting')
  const database = new Database(config.database.url, config.database)
  const writer = new Database(config.database.url, { ...config.database, connections: 1, scripts: true })
  const permissions = new RedisPermissions(config.redis, {
    connectionName: 'notify-api:permission',
    commands: neededCommands(config.redis),
    log,
  })
  const publisher = new RedisPublisher(config.redis, { timeoutMs: config.publishTimeoutMs, log, onPublish: metrics.onPublish })
  const outboxStore = new OutboxStore(database)
  const outbox = new Outbox({
    store: outboxStore,
    lease: new Lease(database, 'sweep'),
    publisher,
    log,
    onReport: metrics.onOutboxReport,
  })
  const pushSubscriptions = new PushSubscriptions(database, config.maxPushSubscriptions)
  const escalations = new EscalationPolicy(config.escalation)
  const reach = new Reach({
    store: new EscalationStore(database),
    deliverers: {
      ...(config.push && { push: new WebPush(config.push, pushSubscriptions) }),
      ...(config.webhook && { webhook: new Webhook(config.webhook) }),
    },
    log,
    onOutcome: metrics.onEscalation,
    onBacklog: metrics.onEscalationBacklog,
  })
  const idempotencyStore = new IdempotencyStore(database, config.group)
  const idempotency = new Idempotency(idempotencyStore, log)
  const collapsing = new Database(config.database.url, { ...config.database, connections: 1, scripts: true })
  const sender = new Sender({
    database: writer,
    collapsingDatabase: collapsing,
    outbox,
    idempotency,
    escalations,
    reach,
    limits: config.group,
    onCommit: metrics.onCommit,
  })
  metrics.countQueuedWrites(() => sender.queued)
  const members = new InboxMembers(config.broadcastLookbackDays)
  const inbox = new InboxStore(database, members)
  const reads = new ReadStore(database, members)
  const statuses = new StatusStore(database)
  const { redis, publishTimeoutMs, task, taskStream } = config
  const sessions = new SessionControl({
    store: new RevocationStore(database, config.tokenLife),
    redis: new RedisSessions(redis, { timeoutMs: publishTimeoutMs, log }),
    outbox,
    outboxStore,
    maxRevocations: config.maxRevocations,
    log,
  })
  const tasks = openTasks({
    database,
    outbox,
    reach,
    redis,
    publishTimeoutMs,
    ...task,
    rollUpMs: taskStream.rollUpMs,
    log,
    onEnd: metrics.onTaskEnd,
  })
  const retention = new Retention({
    store: new RetentionStore(database, members),
    lease: new Lease(database, 'retention'),
    outbox,
    days: config.retention.days,
    intervalMs: config.retention.intervalMs,
    log,
    onPass: metrics.onRetention,
  })
  const expiry = new Expiry({ database, members, lease: new Lease(database, 'expiry'), outbox, log })
  const app = await buildApp({
    config,
    log,
    metrics,
    deps: { sender, inbox, reads, pushSubscriptions, statuses, sessions, outbox, publisher, tasks, escalations },
  })
  const connections = openConnections(app)
  await sessions.load()
  // Connect first, so that the first responses can report `online`. Without Redis the service still starts.
  await Promise.all([
    publisher.untilConnected(),
    tasks.untilConnected(),
    permissions.untilPermitted(() => (ready = unready('redis'))),
  ])
  await listen(log, { ...config, app, ops })
  ready = readiness({ database, publisher, permissions, outbox, metrics })

  return {
    log,
    closeTimeoutMs: config.shutdownDelayMs + closeMs,
    async close() {
      ready = unready('draining')
      await connections.drain(config.shutdownDelayMs)
      await app.close()
      await expiry.close()
      await retention.close()
      await sessions.close()
      await tasks.close()
      await sender.close()
      await idempotencyStore.close()
      await outbox.close()
      await reach.close()
      publisher.close()
      await permissions.close()
      await writer.close()
      await collapsing.close()
      await database.close()
      await ops.close()
    },
  }
})
