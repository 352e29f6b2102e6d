import cookie from '@fastify/cookie'
import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import { type Log, openTokenVerifier, originMatcher } from '@tidings/chassis'
import { type FastifyInstance, fastify, type HTTPMethods, LogController } from 'fastify'
import { backend, callerDecorator, type Caller, member } from './caller.ts'
import type { Config } from './config.ts'
import { openDocument } from './document.ts'
import type { Idempotency } from './idempotency.ts'
import type { Metrics } from './metric.ts'
import type { Outbox } from './outbox.ts'
import { Problem } from './problem.ts'
import { answer, problemHandler, problemOf } from './problem-handler.ts'
import { openRateLimits } from './rate-limit.ts'
import type { Api, Doors } from './route/api.ts'
import { inboxRoutes } from './route/inbox-route.ts'
import { notificationRoutes } from './route/notification-route.ts'
import { sessionRoutes } from './route/session-route.ts'
import type { InboxStore } from './store/inbox-store.ts'
import type { NotificationStore } from './store/notification-store.ts'
import type { OutboxStore } from './store/outbox-store.ts'
import type { ReadStore } from './store/read-store.ts'
import { validatorCompiler } from './validation.ts'

export interface AppOptions {
  readonly config: Config
  readonly log: Log
  readonly metrics: Metrics
  readonly notifications: NotificationStore
  readonly inbox: InboxStore
  readonly reads: ReadStore
  readonly outboxStore: OutboxStore
  readonly outbox: Outbox
  readonly idempotency: Idempotency
}

const requestTimeoutMs = 30_000
/** Verified tokens remembered: a backend sends the same one for minutes. */
const tokenCacheSize = 10_000

/** The public port: everything over HTTP but the ops routes. */
export async function buildApp({ config, log, metrics, ...parts }: AppOptions): Promise<FastifyInstance> {
  const app = fastify({
    loggerInstance: log,
    // Two lines for each request would cost more than the request: refusals are logged by the problem handler.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: config.maxBodyBytes,
    requestTimeout: requestTimeoutMs,
    frameworkErrors: (error, _request, reply) => answer(reply, problemOf(error)),
  }) as unknown as Api
  app.setValidatorCompiler(validatorCompiler)
  // The handlers are typed by the same schemas: what they give is sent as it is.
  app.setSerializerCompiler(() => JSON.stringify)
  app.setErrorHandler(problemHandler(log))
  app.setNotFoundHandler(() => {
    throw new Problem('not-found', 'There is no such call.', { errors: [{ in: 'path', pointer: '#', detail: 'is not known' }] })
  })
  acceptJsonOnly(app)
  app.decorateRequest<Caller | null>(callerDecorator, null)
  app.addHook('onResponse', (request, reply, done) => {
    metrics.requests.observe({ call: request.routeOptions.url ?? 'unknown', status: reply.statusCode }, reply.elapsedTime / 1_000)
    done()
  })

  const allowed = originMatcher(config.allowedOrigins)
  await app.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
  })
  await app.register(cors, {
    origin: (origin, decide) => decide(null, allowed(origin)),
    credentials: true,
    methods: ['GET', 'POST'],
    strictPreflight: false,
  })
  await app.register(cookie, { hook: false })
  await openDocument(app, config.member.cookie)

  const limits = await openRateLimits(app, config.requestsPerMinute)
  const services = openTokenVerifier(config.service.key, { cacheSize: tokenCacheSize })
  const members = {
    tokens: openTokenVerifier(config.member.key, { cacheSize: tokenCacheSize }),
    cookie: config.member.cookie,
    parseCookie: (header: string) => app.parseCookie(header),
    allowed,
  }
  const doors: Doors = {
    backend: (scope) => [backend(services, scope), limits.service],
    memberReads: [member(members, { changes: false }), limits.member],
    memberChanges: [member(members, { changes: true }), limits.member],
  }
  const methods = collectMethods(app)
  notificationRoutes(app, { doors, maxSendBytes: config.maxSendBytes, ...parts })
  inboxRoutes(app, { doors, ...parts })
  sessionRoutes(app, { doors, ...parts })
  refuseOtherMethods(app, methods)
  return app
}

/** An empty body is no body: calls that need one say what is missing. */
function acceptJsonOnly(app: Api): void {
  const parseJson = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined)
    else void parseJson(request, body, done)
  })
}

/** The methods of each path that is added from now on. */
function collectMethods(app: Api): Map<string, Set<string>> {
  const methods = new Map<string, Set<string>>()
  app.addHook('onRoute', ({ url, method }) => {
    const known = methods.get(url) ?? new Set<string>()
    for (const one of [method].flat()) known.add(one)
    methods.set(url, known)
  })
  return methods
}

function refuseOtherMethods(app: Api, methods: ReadonlyMap<string, ReadonlySet<string>>): void {
  for (const [url, known] of Array.from(methods)) {
    const allow = [...known].join(', ')
    const others = (['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as HTTPMethods[]).filter((method) => !known.has(method))
    app.route({
      url,
      method: others,
      schema: { hide: true },
      onRequest: () => {
        throw new Problem('method-not-allowed', `This path takes ${allow}.`, { headers: { allow } })
      },
      handler: () => undefined,
    })
  }
}
