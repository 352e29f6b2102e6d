import { setFlagsFromString } from 'node:v8'
import { buildOps, listen, openLog, openTokenVerifier, originMatcher, run } from '@tidings/chassis'
import { controlChannel } from '@tidings/protocol'
import { buildApp } from './app.ts'
import { Canary } from './ops/canary.ts'
import { config as readConfiguration } from './config.ts'
import { Control } from './ops/control.ts'
import { Hub } from './channel/hub.ts'
import { Metrics } from './ops/metrics.ts'
import { addSessionRoute } from './ops/session-route.ts'
import { forwardTo } from './backend/publish-forward.ts'
import { RedisBroker } from './redis/redis-broker.ts'
import { Sessions } from './session/sessions.ts'
import { storedTaskOf } from './backend/task-snapshot.ts'
import { WriteBatch } from './socket/write-batch.ts'

/** Time for the last sockets to close and for what is left, after the drain. */
const closeMs = 10_000

// Thousands may connect to a process that has just started: after a deploy, or when the gateway beside it is gone. V8 optimizes a
// function at the third look, and looks each time it has gone through so many bytes of bytecode, by default 67,584: the first 5,000
// connections cost a sixth more then. A V8 that does not know the flag says so and goes on.
setFlagsFromString('--interrupt-budget=20000')

await run(async () => {
  const config = readConfiguration(process.env)
  const { limits, memberCookie } = config
  const log = openLog('realtime-gateway', config.logLevel)
  const metrics = new Metrics()
  const broker = new RedisBroker(config.redisUrl, log)
  const hub = new Hub(broker, metrics)
  broker.open(hub)
  const forward = forwardTo(config.notifyApiUrl, memberCookie)
  const storedTask = storedTaskOf(config.notifyApiUrl, memberCookie)
  const sessions = new Sessions({ hub, limits, metrics, log, forward, storedTask })
  const canary = new Canary(broker, metrics)
  const app = await buildApp({
    sessions,
    metrics,
    memberCookie,
    allowOrigin: originMatcher(config.allowedOrigins),
    tokens: openTokenVerifier(config.memberKey),
    batch: new WriteBatch(metrics),
    maxFrameBytes: limits.maxFrameBytes,
  })
  const ops = buildOps(metrics.registry, () => ({
    failing: [...(canary.alive ? [] : ['redis']), ...(sessions.draining ? ['draining'] : [])],
  }))
  addSessionRoute(ops, sessions)
  metrics.observe('sessions', 'Open sessions', () => sessions.size)
  metrics.observe('subscriptions', 'Subscriptions of all sessions', () => sessions.subscriptions)
  metrics.observe('channels', 'Channels listened to', () => hub.channels)

  // A gateway serves while Redis is away: its sessions wait for it, so it opens its ports without it.
  void canary.open(hub)
  void hub.follow(controlChannel, new Control(sessions, log))
  await listen(log, { ...config, app, ops })
  return {
    log,
    closeTimeoutMs: config.drainMs + closeMs,
    async close() {
      await sessions.drain(config.drainMs)
      await app.close()
      sessions.close()
      canary.close()
      await broker.close()
      await ops.close()
    },
  }
})
