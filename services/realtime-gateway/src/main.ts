import { buildOps, listen, openLog, openTokenVerifier, originMatcher, RedisPermissions, Revocations, run } from '@tidings/chassis'
import { controlChannel } from '@tidings/protocol'
import { buildApp } from './app.ts'
import { forwardTo } from './backend/publish-forward.ts'
import { storedTaskOf, TaskSnapshots } from './backend/task-snapshot.ts'
import { Hub } from './channel/hub.ts'
import { configFrom } from './config.ts'
import { frameHandler } from './handler/table.ts'
import { Canary } from './ops/canary.ts'
import { Control } from './ops/control.ts'
import { Metrics } from './ops/metrics.ts'
import { addSessionRoute } from './ops/session-route.ts'
import { neededCommands } from './redis/needed-command.ts'
import { RedisBroker } from './redis/redis-broker.ts'
import { Sessions } from './session/sessions.ts'
import { TopicAccess } from './session/topic-access.ts'
import { WriteBatch } from './socket/websocket-transport.ts'

/** How long the last sockets and everything else may take to close after the drain. */
const closeMs = 10_000

await run(async () => {
  const config = configFrom(process.env)
  const { limits, memberCookie } = config
  const log = openLog('realtime-gateway', config.logLevel)
  const metrics = new Metrics()
  const broker = new RedisBroker(config.redis, log)
  const hub = new Hub(broker, metrics)
  const forward = forwardTo(config.notifyApiUrl, memberCookie)
  const storedTask = storedTaskOf(config.notifyApiUrl, memberCookie)
  const snapshots = new TaskSnapshots(hub.history)
  const topicAccess = new TopicAccess(config.publicTopics)
  const handle = frameHandler({ hub, limits, metrics, topicAccess, forward, snapshots, storedTask })
  const sessions = new Sessions({ handle, hub, limits, metrics, log })
  const revocations = new Revocations()
  const control = new Control({ sessions, revocations, store: broker.revocations, log })
  const canary = new Canary(broker, metrics, log)
  const permissions = new RedisPermissions(config.redis, {
    connectionName: 'realtime-gateway:permission',
    commands: neededCommands(config.redis),
    log,
  })
  const app = await buildApp({
    sessions,
    metrics,
    memberCookie,
    allowOrigin: originMatcher(config.allowedOrigins),
    tokens: openTokenVerifier(config.memberTokens, { log, onJwksFailure: () => metrics.jwksFailed() }),
    revocations,
    batch: new WriteBatch(metrics),
    maxBufferedBytes: limits.maxBufferedBytes,
    maxFrameBytes: limits.maxFrameBytes,
  })
  const ops = buildOps(metrics.registry, () => ({
    failing: [
      ...new Set([
        ...canary.failing,
        ...broker.refusing,
        ...(control.loaded && permissions.refused.length === 0 ? [] : ['redis']),
      ]),
      ...(sessions.draining ? ['draining'] : []),
    ],
  }))
  addSessionRoute(ops, sessions)
  metrics.observe('sessions', 'Open sessions', () => sessions.size)
  metrics.observe('subscriptions', 'Subscriptions of all sessions', () => sessions.subscriptions)
  metrics.observe('revocations', 'Members of whom tokens are revoked', () => revocations.size)
  metrics.observe('channels', 'Channels listened to', () => hub.channels)

  // Not awaited: the gateway opens its ports while Redis is away, and its sessions wait for it.
  canary.open()
  // Listening first: what is revoked after the read arrives as a message.
  void hub.follow(controlChannel, control).then(() => control.load())
  await listen(log, { ...config, app, ops })
  return {
    log,
    closeTimeoutMs: config.drainMs + closeMs,
    async close() {
      await sessions.drain(config.drainMs)
      await app.close()
      sessions.close()
      canary.close()
      control.close()
      await permissions.close()
      await broker.close()
      await ops.close()
    },
  }
})
