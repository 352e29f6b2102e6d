import { STATUS_CODES } from 'node:http'
import type { FastifyReply, RawServerBase, RouteGenericInterface } from 'fastify'

/** RFC 9457, like every refusal of the API behind. */
export function problem(status: number, detail?: string): object {
  return { type: 'about:blank', title: STATUS_CODES[status], status, ...(detail && { detail }) }
}

export function sendProblem(
  reply: FastifyReply<RouteGenericInterface, RawServerBase>,
  status: number,
  detail?: string,
): FastifyReply {
  return reply.code(status).type('application/problem+json').send(problem(status, detail)) as FastifyReply
}
