import type { Socket } from 'node:net'
import cookie from '@fastify/cookie'
import cors from '@fastify/cors'
import { type Log, openTokenVerifier, originMatcher } from '@tidings/chassis'
import { type FastifyInstance, fastify, LogController } from 'fastify'
import { backend, type Caller, callerDecorator, eitherCaller, member } from './caller.ts'
import { clientErrorHandler } from './client-error.ts'
import type { Config } from '../config.ts'
import { openDocument } from './document.ts'
import { endIdleConnections } from './idle-connection.ts'
import { acceptJsonOnly } from './json-only.ts'
import type { Metrics } from '../metrics.ts'
import { refuseOtherMethods } from './other-methods.ts'
import { answer, notFound, problemHandler, problemOf } from './problem-handler.ts'
import { rateLimit } from './rate-limit.ts'
import type { Api, Doors } from '../route/api.ts'
import { type InboxParts, inboxRoutes } from '../route/inbox.ts'
import { type NotificationParts, notificationRoutes } from '../route/notification.ts'
import { type SessionParts, sessionRoutes } from '../route/session.ts'
import { memberTaskRoutes, type TaskDeps, taskRoutes } from '../route/task.ts'
import { taskStreamRoute } from '../route/task-stream.ts'
import { addSecurityHeaders } from './security-header.ts'
import { validatorCompiler } from './validation.ts'

export interface AppOptions {
  readonly config: Config
  readonly log: Log
  readonly metrics: Metrics
  readonly parts: NotificationParts & InboxParts & SessionParts & TaskDeps
}

const requestTimeoutMs = 30_000
/** Verified tokens remembered: a backend sends the same one with each of its thousands of requests. */
const tokenCacheSize = 10_000

/** The public port: everything over HTTP but the ops routes. */
export async function buildApp({ config, log, metrics, parts }: AppOptions): Promise<FastifyInstance> {
  const untimed = new WeakSet<Socket>()
  const app = fastify({
    loggerInstance: log,
    // Lines for each request, and a logger to write them, would cost more than the request. The problem handler logs refusals.
    logController: new LogController({ disableRequestLogging: true }),
    childLoggerFactory: (logger) => logger,
    bodyLimit: config.maxBodyBytes,
    requestTimeout: requestTimeoutMs,
    clientErrorHandler: clientErrorHandler(log, untimed),
    frameworkErrors: (error, _request, reply) => answer(reply, problemOf(error)),
  }) as unknown as Api
  app.setValidatorCompiler(validatorCompiler)
  // The handlers are typed by the same schemas: what they give is sent as it is.
  app.setSerializerCompiler(() => JSON.stringify)
  app.setErrorHandler(problemHandler(log))
  app.setNotFoundHandler(notFound)
  app.decorateRequest<Caller | null>(callerDecorator, null)
  app.addHook('onResponse', (request, reply, done) => {
    metrics.onRequest(request.routeOptions.url ?? 'unknown', reply.statusCode, reply.elapsedTime / 1_000)
    done()
  })
  endIdleConnections(app)
  acceptJsonOnly(app)
  addSecurityHeaders(app)
  await app.register(cookie, { hook: false })
  await openDocument(app, config.member.cookie)

  const allowed = originMatcher(config.allowedOrigins)
  const services = openTokenVerifier(config.service.key, { cacheSize: tokenCacheSize })
  const tokens = openTokenVerifier(config.member.key, { cacheSize: tokenCacheSize })
  const members = { tokens, cookie: config.member.cookie, parseCookie: (header: string) => app.parseCookie(header), allowed }
  const limit = await rateLimit(app, config.requestsPerMinute)
  const doors: Doors = {
    backend: (scope) => [backend(services, scope), limit],
    memberReads: [member(members, { changes: false }), limit],
    memberChanges: [member(members, { changes: true }), limit],
    backendOrMemberReads: (scope) => [eitherCaller(backend(services, scope), member(members, { changes: false })), limit],
  }
  const addOtherMethods = refuseOtherMethods(app)
  notificationRoutes(app, doors, parts, config.maxSendBytes)
  sessionRoutes(app, doors, parts)
  taskRoutes(app, doors, parts)
  await app.register(async (uploads: FastifyInstance) =>
    taskStreamRoute(uploads, doors, parts, { ...config.taskStream, untimed }),
  )
  // Pages on other Origins call these with the member's cookie.
  await app.register(async (browsers: FastifyInstance) => {
    await browsers.register(cors, {
      origin: (origin, decide) => decide(null, allowed(origin)),
      credentials: true,
      methods: ['GET', 'POST'],
      strictPreflight: false,
    })
    inboxRoutes(browsers, doors, parts)
    memberTaskRoutes(browsers, doors, parts)
  })
  addOtherMethods()
  return app
}
