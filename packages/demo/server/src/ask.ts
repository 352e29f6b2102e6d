import { authenticateMember, openTokenVerifier, presentedTokens } from '@tidings/chassis'
import { Refused } from '@tidings/producer'
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
export function serveAsk(app: FastifyInstance, options: DemoOptions, secret: string): void {
  const { memberCookie, memberTokens, notifyApiUrl: url, onFailure } = options
  const signToken = createSigner({ algorithm: 'HS256', key: secret, expiresIn: tokenSeconds * 1_000 })
  const token = () => signToken({ sub: 'edge', scope: 'task:write' })
  const tokens = openTokenVerifier(memberTokens)

  app.post('/demo/ask', async (request, reply) => {
    const member = await authenticateMember(tokens, presentedTokens(request.headers, memberCookie).tokens)
    if (member.refused !== undefined) throw new Refusal(401, member.refused)
    const { question } = parseBody(Ask, request.body)
    const onError = (error: unknown) => request.log.warn({ reason: String(error) }, 'the answer was not finished')
    const { memberId } = member.principal
    const taskId = await answerQuestion(question, { memberId, url, token }, onError).catch((error: unknown) => {
      if (error instanceof Refused) throw error
      onFailure(error, request)
      throw new Refusal(502, 'notify-api does not reply')
    })
    return reply.code(202).send({ taskId })
  })
}
