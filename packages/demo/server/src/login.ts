import type { CookieSerializeOptions } from '@fastify/cookie'
import { authenticateMember, openTokenVerifier, presentedTokens } from '@tidings/chassis'
import { MemberId } from '@tidings/protocol'
import { createSigner } from 'fast-jwt'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { DemoOptions } from './options.ts'
import { parseBody } from './refusal.ts'

const sessionSeconds = 8 * 3_600
const Login = z.strictObject({ memberId: MemberId })

type LoginOptions = Pick<DemoOptions, 'memberCookie' | 'memberTokens'>

/** Serves `GET /whoami`: the member of the cookie, which is HttpOnly and so hidden from the page, or 204 without a valid one. */
export function serveWhoami(app: FastifyInstance, { memberTokens, memberCookie }: LoginOptions): void {
  const tokens = openTokenVerifier(memberTokens)
  app.get('/whoami', async (request, reply) => {
    void reply.header('cache-control', 'no-store')
    const verdict = await authenticateMember(tokens, presentedTokens(request.headers, memberCookie).tokens)
    // Not 401: browsers log it as an error, which a first visit is not.
    if (verdict.refused !== undefined) return reply.code(204).send()
    const { memberId, expiresAt } = verdict.principal
    return { memberId, expiresAt }
  })
}

/** Serves `POST /login` and `POST /logout`. Any visitor may sign in as any member. */
export function serveLogin(app: FastifyInstance, { memberCookie }: LoginOptions, secret: string): void {
  const signToken = createSigner({ algorithm: 'HS256', key: secret, expiresIn: sessionSeconds * 1_000 })

  app.post('/login', (request, reply) => {
    const { memberId } = parseBody(Login, request.body)
    const token = signToken({ sub: String(memberId) })
    return reply
      .setCookie(memberCookie, token, { ...cookieOptions(request), maxAge: sessionSeconds })
      .send({ memberId, expiresAt: Math.floor(Date.now() / 1_000) + sessionSeconds })
  })

  app.post('/logout', (request, reply) => reply.clearCookie(memberCookie, cookieOptions(request)).code(204).send())
}

/**
 * A page of another site sends the cookie only with SameSite=None, which requires Secure; browsers drop Secure cookies from plain HTTP.
 * On localhost the cookie is Lax instead.
 */
function cookieOptions({ hostname }: FastifyRequest): CookieSerializeOptions {
  const local = ['localhost', '127.0.0.1', '[::1]'].includes(hostname)
  return { path: '/', httpOnly: true, secure: !local, sameSite: local ? 'lax' : 'none' }
}
