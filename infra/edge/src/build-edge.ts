import { type Log, problemMediaType, problemOf } from '@tidings/chassis'
import { demoServer } from '@tidings/demo/server'
import { type FastifyBaseLogger, type FastifyInstance, fastify, LogController } from 'fastify'
import type { EdgeConfig } from './config.ts'
import { Gateways } from './gateways.ts'
import { proxyApi } from './proxy.ts'
import { spliceUpgrades } from './splice.ts'

/** Builds the server that joins the HTTP API, `/ws` and the demo under one origin. */
export async function buildEdge(config: EdgeConfig, log: Log): Promise<FastifyInstance> {
  const loggerInstance: FastifyBaseLogger = log
  const app = fastify({
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }),
    forceCloseConnections: true,
  })
  app.setErrorHandler((error, _request, reply) => {
    log.error({ err: error }, 'request failed')
    return reply.code(500).type(problemMediaType).send(problemOf(500))
  })
  app.get('/live', () => ({ live: true }))
  const { notifyApiUrl, gatewayUrls, gatewayByQuery } = config
  await app.register(proxyApi, { notifyApiUrl })
  await app.register(demoServer, { ...config.demo, notifyApiUrl })
  const closeSessions = spliceUpgrades(app.server, new Gateways(gatewayUrls), log, { gatewayByQuery })
  app.addHook('preClose', async () => closeSessions())
  return app
}
