import type { CookieSerializeOptions } from '@fastify/cookie'
import { authenticateMember, openTokenVerifier, originMatcher } from '@tidings/chassis'
import { createSigner } from 'fast-jwt'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { EdgeConfig } from './config.ts'
import { answerQuestion } from './demo-answer.ts'
import { sendProblem } from './problem.ts'
import { forwarded, unreachable } from './proxy.ts'

const sessionSeconds = 8 * 3_600
const sendTokenSeconds = 60
const askTokenSeconds = 600
const Login = z.strictObject({ memberId: z.int().positive() })
const Ask = z.strictObject({ question: z.string().trim().min(1).max(200) })
/** To one member, several, or all; the rest is what notify-api checks. */
const Send = z.looseObject({ all: z.literal(true).optional() })

/** Who the cookie says the page is for: it is HttpOnly, so that the page cannot look for itself. */
export function serveWhoami(app: FastifyInstance, { memberKey, cookie }: EdgeConfig): void {
  const tokens = openTokenVerifier(memberKey)
  app.get('/whoami', async (request, reply) => {
    const verdict = await authenticateMember(tokens, request.cookies[cookie])
    void reply.header('cache-control', 'no-store')
    if (verdict.refused === undefined) return verdict.principal
    return sendProblem(reply, 401, verdict.refused)
  })
}

/** Sign in as anybody, and send to anybody: what a product's own backend does, for a developer's machine. */
export function serveLogin(
  app: FastifyInstance,
  { cookie, allowedOrigins, memberKey, notifyApiUrl }: EdgeConfig,
  secrets: { member: string; service: string },
): void {
  const memberSigner = createSigner({ algorithm: 'HS256', key: secrets.member, expiresIn: sessionSeconds * 1_000 })
  const serviceSigner = createSigner({ algorithm: 'HS256', key: secrets.service, expiresIn: sendTokenSeconds * 1_000 })
  const askSigner = createSigner({ algorithm: 'HS256', key: secrets.service, expiresIn: askTokenSeconds * 1_000 })
  const askToken = () => askSigner({ sub: 'edge', scope: 'task:write' })
  const allowed = originMatcher(allowedOrigins)
  // A browser names its Origin on every POST; curl has none.
  const preValidation = async (request: FastifyRequest) => {
    if (request.headers.origin !== undefined && !allowed(request.headers.origin))
      throw new Refused(403, 'this Origin is not allowed')
  }

  app.post('/login', { preValidation }, (request, reply) => {
    const { memberId } = parse(Login, request.body)
    const token = memberSigner({ sub: String(memberId) })
    return reply
      .setCookie(cookie, token, { ...cookieOptions(request), maxAge: sessionSeconds })
      .send({ memberId, expiresAt: Math.floor(Date.now() / 1_000) + sessionSeconds })
  })

  app.post('/logout', { preValidation }, (request, reply) => reply.clearCookie(cookie, cookieOptions(request)).code(204).send())

  app.post('/demo/send', { preValidation }, (request, reply) => {
    const { all, ...body } = parse(Send, request.body)
    const authorization = `Bearer ${serviceSigner({ sub: 'edge', scope: 'notification:send notification:broadcast' })}`
    return reply.from(all ? '/notification/broadcast' : '/notification/send', {
      body,
      rewriteRequestHeaders: (_, { cookie: _cookie, ...headers }) => ({ ...headers, ...forwarded(request), authorization }),
      onError: unreachable,
    })
  })

  const members = openTokenVerifier(memberKey)
  app.post('/demo/ask', { preValidation }, async (request, reply) => {
    const member = await authenticateMember(members, request.cookies[cookie])
    if (member.refused !== undefined) return sendProblem(reply, 401, member.refused)
    const { memberId } = member.principal
    const onError = (error: unknown) => request.log.warn({ err: error }, 'the answer was not finished')
    const taskId = await answerQuestion(
      parse(Ask, request.body).question,
      { memberId, url: notifyApiUrl, token: askToken },
      onError,
    )
    return reply.code(202).send({ taskId })
  })
}

class Refused extends Error {
  readonly statusCode: number

  constructor(statusCode: number, reason: string) {
    super(reason)
    this.statusCode = statusCode
  }
}

function parse<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body)
  if (!result.success) throw new Refused(400, z.prettifyError(result.error))
  return result.data
}

/** A cookie for another site's page needs Secure, and browsers keep those from plain HTTP; the developer's own machine is excepted. */
function cookieOptions({ hostname }: FastifyRequest): CookieSerializeOptions {
  const local = ['localhost', '127.0.0.1', '[::1]'].includes(hostname)
  return { path: '/', httpOnly: true, secure: !local, sameSite: local ? 'lax' : 'none' }
}
