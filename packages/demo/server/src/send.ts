import replyFrom from '@fastify/reply-from'
import { sendProblem } from '@tidings/chassis'
import { createSigner } from 'fast-jwt'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { DemoOptions } from './options.ts'
import { parseBody } from './refusal.ts'

const tokenSeconds = 60
/** `all` broadcasts. notify-api validates the rest. */
const Send = z.looseObject({ all: z.literal(true).optional() })

/** Serves `POST /demo/send`: forwards to notify-api with a service token that the page never sees. */
export async function serveSend(app: FastifyInstance, { notifyApiUrl, onFailure }: DemoOptions, secret: string): Promise<void> {
  const signToken = createSigner({ algorithm: 'HS256', key: secret, expiresIn: tokenSeconds * 1_000 })
  await app.register(replyFrom, { base: notifyApiUrl, retryMethods: [], disableRequestLogging: true, destroyAgent: true })

  // Silent: the plugin would log each failure with its stack.
  app.post('/demo/send', { logLevel: 'silent' }, (request, reply) => {
    const { all, ...body } = parseBody(Send, request.body)
    const authorization = `Bearer ${signToken({ sub: 'edge', scope: 'notification:send notification:broadcast' })}`
    return reply.from(all ? '/notification/broadcast' : '/notification/send', {
      body,
      rewriteRequestHeaders: (_, { cookie: _cookie, ...headers }) => ({ ...headers, authorization }),
      onError: (_, { error }) => {
        onFailure(error, request)
        void sendProblem(reply, 502, 'notify-api does not reply')
      },
    })
  })
}
