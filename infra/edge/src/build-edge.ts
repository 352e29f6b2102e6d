import cookie from '@fastify/cookie'
import type { Log } from '@tidings/chassis'
import { type FastifyBaseLogger, type FastifyError, type FastifyInstance, fastify, LogController } from 'fastify'
import type { EdgeConfig } from './config.ts'
import { Gateways } from './gateways.ts'
import { serveLogin, serveWhoami } from './login.ts'
import { servePage } from './page.ts'
import { sendProblem } from './problem.ts'
import { proxyApi } from './proxy.ts'
import { spliceUpgrades } from './splice.ts'

/** One origin for the page, `/ws` and the HTTP API. */
export async function buildEdge(config: EdgeConfig, log: Log): Promise<FastifyInstance> {
  const loggerInstance: FastifyBaseLogger = log
  const app = fastify({
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }),
    forceCloseConnections: true,
  })
  app.setErrorHandler<FastifyError>((error, _request, reply) => {
    const status = error.statusCode ?? 500
    if (status >= 500) log.error({ err: error }, 'request failed')
    return sendProblem(reply, status, status < 500 ? error.message : undefined)
  })
  // Only JSON: what a form of another site can send is not taken.
  app.removeContentTypeParser('text/plain')
  app.get('/live', () => ({ live: true }))
  await app.register(cookie)
  await proxyApi(app, config.notifyApiUrl)
  serveWhoami(app, config)
  if (config.login) serveLogin(app, config, config.login)
  await servePage(app, config.pageDirectory)
  const endConnections = spliceUpgrades(app.server, new Gateways(config.gatewayUrls), log, {
    mayChoose: config.login !== undefined,
  })
  app.addHook('preClose', async () => endConnections())
  return app
}
