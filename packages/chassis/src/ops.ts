import { setTimeout as delay } from 'node:timers/promises'
import { collectDefaultMetrics, Gauge, type Registry } from '@prometheus-io/client'
import { type FastifyInstance, fastify } from 'fastify'

/** Result of a readiness check. `/ready` responds with 200 if `failing` is empty, and with 503 otherwise. */
export interface Readiness {
  /** Names of the failing dependencies or conditions. */
  readonly failing: readonly string[]
  /** Names of the dependencies that fail although the process can do its work without them. They do not change the status. */
  readonly degraded?: readonly string[]
}

/** Longest wait of `/metrics` for the readiness check. Prometheus drops all metrics of a scrape that takes 5 seconds. */
const metricWaitMs = 2_000

/**
 * Builds the HTTP server of the ops port: `/live`, `/ready` and `/metrics` (Prometheus text format). It has no authentication, so
 * it must not be reachable from outside. The caller may add routes before it listens.
 */
export function buildOps(registry: Registry, ready: () => Readiness | Promise<Readiness>): FastifyInstance {
  const ops = fastify({ logger: false, forceCloseConnections: true })
  collectDefaultMetrics({ register: registry })
  const readyGauge: Gauge = new Gauge({
    name: 'tidings_ready',
    help: '1 while /ready is 200, within two seconds.',
    registers: [registry],
    collect: async () => {
      const readiness = await Promise.race([ready(), delay(metricWaitMs, undefined, { ref: false })])
      readyGauge.set(readiness?.failing.length === 0 ? 1 : 0)
    },
  })
  ops.get('/live', () => ({ live: true }))
  ops.get('/ready', async (_request, reply) => {
    const readiness = await ready()
    const isReady = readiness.failing.length === 0
    return reply.code(isReady ? 200 : 503).send({ ready: isReady, ...readiness })
  })
  ops.get('/metrics', async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()))
  return ops
}
