import { sendProblem } from '@tidings/chassis'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'

/** A request that is refused with this status; `message` is the `detail` of the problem. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly statusCode: number

  constructor(statusCode: number, detail: string) {
    super(detail)
    this.statusCode = statusCode
  }
}

/** Returns the parsed body; throws a {@link Refusal} with 400 when it does not match. */
export function parseBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body)
  if (!result.success) throw new Refusal(400, z.prettifyError(result.error))
  return result.data
}

/** Sends every error as a problem (RFC 9457). The message of an unexpected error is logged, not sent. */
export function errorHandler(error: FastifyError | Refusal, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const status = error.statusCode ?? 500
  const expected = error instanceof Refusal
  if (status >= 500 && !expected) request.log.error({ err: error }, 'request failed')
  return sendProblem(reply, status, status < 500 || expected ? error.message : undefined)
}
