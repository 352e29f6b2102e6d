import { authenticateMember, openTokenVerifier, presentedTokens } from '@tidings/chassis'
import { createSigner } from 'fast-jwt'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { answerQuestion } from './answer.ts'
import type { DemoOptions } from './options.ts'
import { parseBody, Refusal } from './refusal.ts'

/** Longer than the longest answer takes. */
const tokenSeconds = 600
const Ask = z.strictObject({ question: z.string().trim().min(1).max(200) })

/** Serves `POST /demo/ask`: starts a task that answers the question of the signed-in member. */
export function serveAsk(app: FastifyInstance, { memberCookie, memberTokens, notifyApiUrl }: DemoOptions, secret: string): void {
  const signToken = createSigner({ algorithm: 'HS256', key: secret, expiresIn: tokenSeconds * 1_000 })
  const token = () => signToken({ sub: 'edge', scope: 'task:write' })
  const tokens = openTokenVerifier(memberTokens)

  app.post('/demo/ask', async (request, reply) => {
    const member = await authenticateMember(tokens, presentedTokens(request.headers, memberCookie).tokens)
    if (member.refused !== undefined) throw new Refusal(401, member.refused)
    const { question } = parseBody(Ask, request.body)
    const onError = (error: unknown) => request.log.warn({ err: error }, 'the answer was not finished')
    const taskId = await answerQuestion(question, { memberId: member.principal.memberId, url: notifyApiUrl, token }, onError)
    return reply.code(202).send({ taskId })
  })
}
