import { collectDefaultMetrics, type Registry } from '@prometheus-io/client'
import { type FastifyInstance, fastify } from 'fastify'

/** What `/ready` answers: 200 when `failing` is empty, else 503 with what is failing. */
export interface Readiness {
  readonly failing: readonly string[]
}

/**
 * The ops port of a service: `/live`, `/ready`, `/metrics` (Prometheus text). Not for the public: no authentication.
 * The caller may add routes before it listens.
 */
export function buildOps(registry: Registry, ready: () => Readiness | Promise<Readiness>): FastifyInstance {
  const ops = fastify({ logger: false, forceCloseConnections: true })
  collectDefaultMetrics({ register: registry })
  ops.get('/live', () => ({ live: true }))
  ops.get('/ready', async (_request, reply) => {
    const { failing } = await ready()
    return reply.code(failing.length === 0 ? 200 : 503).send({ ready: failing.length === 0, failing })
  })
  ops.get('/metrics', async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()))
  return ops
}
