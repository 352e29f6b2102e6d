import { addRequestId, type Log, refuseBrokenRequest, requestIdOf, sendProblem } from '@tidings/chassis'
import { demoServer } from '@tidings/demo/server'
import { type FastifyBaseLogger, type FastifyInstance, type FastifyRequest, fastify, LogController } from 'fastify'
import type { EdgeConfig } from './config.ts'
import { Gateways } from './gateways.ts'
import { proxyApi } from './proxy.ts'
import { spliceUpgrades } from './splice.ts'
import { UpstreamFailures } from './upstream-failures.ts'

/** Builds the server that joins the HTTP API, `/ws` and the demo under one origin. */
export async function buildEdge(config: EdgeConfig, log: Log): Promise<FastifyInstance> {
  const loggerInstance: FastifyBaseLogger = log
  const app = fastify({
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }),
    forceCloseConnections: true,
    genReqId: requestIdOf,
    frameworkErrors: (error, _request, reply) => void sendProblem(reply, error.statusCode ?? 500, error.message),
    clientErrorHandler: refuseBrokenRequest,
  })
  app.setErrorHandler((error, { id: requestId }, reply) => {
    log.error({ err: error, requestId }, 'request failed')
    return sendProblem(reply, 500)
  })
  addRequestId(app)
  app.get('/live', () => ({ live: true }))
  const { notifyApiUrl, gatewayUrls, gatewayByQuery } = config
  const failures = new UpstreamFailures(log)
  const onFailure = (error: unknown, { id, raw }: FastifyRequest) => {
    // A client that goes away is no failure of the server.
    if (!raw.destroyed || raw.complete) failures.failed('notify-api', error, id)
  }
  await app.register(proxyApi, { notifyApiUrl, onFailure, logLevel: 'silent' })
  await app.register(demoServer, { ...config.demo, notifyApiUrl, onFailure })
  const closeSessions = spliceUpgrades(app.server, new Gateways(gatewayUrls), failures, { gatewayByQuery })
  app.addHook('preClose', async () => closeSessions())
  return app
}
