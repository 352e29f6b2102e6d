import type { Socket } from 'node:net'
import cors from '@fastify/cors'
import { addRequestId, type Log, originMatcher, requestIdOf } from '@tidings/chassis'
import { type FastifyInstance, fastify, LogController } from 'fastify'
import type { Config } from '../config.ts'
import type { Metrics } from '../metrics.ts'
import type { Api } from '../route/api.ts'
import { type InboxDeps, inboxRoutes, unreadCountRoute } from '../route/inbox.ts'
import { type MessageDeps, messageRoute } from '../route/message.ts'
import { type NotificationDeps, notificationRoutes } from '../route/notification.ts'
import { type PresenceDeps, presenceRoute } from '../route/presence.ts'
import { type PushDeps, pushRoutes } from '../route/push.ts'
import { memberSessionRoutes, type SessionDeps, sessionRoutes } from '../route/session.ts'
import { type StatusDeps, statusRoutes } from '../route/status.ts'
import { memberTaskRoutes, type TaskDeps, taskRoutes } from '../route/task.ts'
import { taskStreamRoute } from '../route/task-stream.ts'
import { addAudit } from './audit.ts'
import { type Caller, callerDecorator } from './caller.ts'
import { clientErrorHandler } from './client-error.ts'
import { openDocument } from './document.ts'
import { openGuards } from './guards.ts'
import { refuseOtherMethods } from './other-methods.ts'
import { notFound, problemFrom, problemHandler, sendProblem } from './problem-handler.ts'
import { addSecurityHeaders } from './security-header.ts'
import { acceptJsonOnly, validatorCompiler } from './validation.ts'

export interface AppOptions {
  readonly config: Config
  readonly log: Log
  readonly metrics: Metrics
  readonly deps: NotificationDeps & MessageDeps & InboxDeps & PresenceDeps & PushDeps & SessionDeps & StatusDeps & TaskDeps
}

const requestTimeoutMs = 30_000

/** Builds the public port: every call over HTTP except those of the ops port. */
export async function buildApp({ config, log, metrics, deps }: AppOptions): Promise<FastifyInstance> {
  const untimed = new WeakSet<Socket>()
  const app = fastify({
    loggerInstance: log,
    // Log lines and a child logger for each request would cost more than the request. The problem handler logs refusals.
    logController: new LogController({ disableRequestLogging: true }),
    childLoggerFactory: (logger) => logger,
    genReqId: requestIdOf,
    bodyLimit: config.maxBodyBytes,
    requestTimeout: requestTimeoutMs,
    // A request that comes while the server closes is served: after it the connection ends.
    return503OnClosing: false,
    clientErrorHandler: clientErrorHandler(log, untimed),
    frameworkErrors: (error, _request, reply) => sendProblem(reply, problemFrom(error)),
  }) as unknown as Api
  app.setValidatorCompiler(validatorCompiler)
  // The response schemas type the handlers at compile time, so responses are not validated again.
  app.setSerializerCompiler(() => JSON.stringify)
  app.setErrorHandler(problemHandler(log))
  app.setNotFoundHandler(notFound)
  app.decorateRequest<Caller | null>(callerDecorator, null)
  app.addHook('onResponse', (request, reply, done) => {
    metrics.onRequest(request.routeOptions.url ?? 'unknown', reply.statusCode, reply.elapsedTime / 1_000)
    done()
  })
  addRequestId(app)
  addAudit(app, log)
  acceptJsonOnly(app)
  addSecurityHeaders(app)
  await openDocument(app, config.member.cookie)

  const allowed = originMatcher(config.allowedOrigins)
  const guards = await openGuards(app, config, allowed, deps.sessions.revocations, log, metrics.onJwksFailure)
  const addOtherMethods = refuseOtherMethods(app)
  notificationRoutes(app, guards, deps, config.maxSendBytes)
  messageRoute(app, guards, deps, config.maxSendBytes)
  unreadCountRoute(app, guards, deps)
  statusRoutes(app, guards, deps)
  presenceRoute(app, guards, deps)
  sessionRoutes(app, guards, deps)
  taskRoutes(app, guards, deps)
  await app.register(async (uploads: FastifyInstance) =>
    taskStreamRoute(uploads, guards, deps, { ...config.taskStream, untimed }),
  )
  // Calls of browsers: pages on other Origins make them with the member's cookie.
  await app.register(async (browsers: FastifyInstance) => {
    await browsers.register(cors, {
      origin: (origin, decide) => decide(null, allowed(origin)),
      credentials: true,
      methods: ['GET', 'POST', 'PUT', 'DELETE'],
      exposedHeaders: ['X-Request-Id'],
      strictPreflight: false,
    })
    inboxRoutes(browsers, guards, deps)
    memberTaskRoutes(browsers, guards, deps)
    memberSessionRoutes(browsers, guards, deps)
    pushRoutes(browsers, guards, deps, config.push)
  })
  addOtherMethods()
  return app
}
