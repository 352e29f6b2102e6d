import { authenticateMember, type MemberVerdict, type TokenVerifier } from '@tidings/chassis'
import type { FastifyReply, FastifyRequest, preValidationHookHandler } from 'fastify'
import type { Metrics } from '../ops/metrics.ts'
import type { Peer } from '../session/session.ts'
import type { Sessions } from '../session/sessions.ts'

export interface Handshake {
  readonly sessions: Sessions
  readonly allowOrigin: (origin: string | undefined) => boolean
  readonly tokens: TokenVerifier
  readonly memberCookie: string
  readonly metrics: Metrics
}

/** The name of the request's decorator: decided before the upgrade, taken by the upgraded connection. */
export const peerDecorator = 'peer'

/**
 * The steps before an upgrade (PROTOCOL.md §2), each of which may refuse it with an HTTP answer that says why: is there room, may this
 * page connect, who is the member. A refused upgrade never becomes an open socket.
 */
export function handshake({ sessions, allowOrigin, tokens, memberCookie, metrics }: Handshake): preValidationHookHandler {
  const refuse = (reply: FastifyReply, status: number, title: string, detail: string): void => {
    metrics.refused(status)
    reply.code(status).type('application/problem+json').send({ type: 'about:blank', title, status, detail })
  }
  // With callbacks: where the key is known, a handshake needs no promise.
  return (request, reply, done) => {
    if (!request.ws) return refuse(reply.header('upgrade', 'websocket'), 426, 'Upgrade Required', 'this is a WebSocket endpoint')
    if (sessions.draining) return refuse(reply.header('retry-after', '1'), 503, 'Service Unavailable', 'this gateway is stopping')
    if (sessions.full) return refuse(reply.header('retry-after', '5'), 503, 'Service Unavailable', 'this gateway is full')
    const { origin, cookie = '' } = request.headers
    if (!allowOrigin(origin)) return refuse(reply, 403, 'Forbidden', 'the Origin is not allowed')
    const token = request.server.parseCookie(cookie)[memberCookie]
    const admit = (member: MemberVerdict) => {
      if (member.refused !== undefined) return refuse(reply, 401, 'Unauthorized', `cookie ${memberCookie}: ${member.refused}`)
      request.setDecorator<Peer>(peerDecorator, {
        principal: member.principal,
        credentials: { token: copyOf(token as string), origin: origin as string },
      })
      done()
    }
    const member = authenticateMember(tokens, token)
    if (member instanceof Promise) member.then(admit, done)
    else admit(member)
  }
}

/** A token is a slice of the Cookie header, and would keep all of it for as long as the session. */
function copyOf(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}

/** Who passed the handshake with this request. */
export function peerOf(request: FastifyRequest): Peer {
  const peer = request.getDecorator<Peer | null>(peerDecorator)
  if (!peer) throw new Error('the request did not pass the handshake')
  return peer
}
