import {
  authenticateMember,
  type MemberVerdict,
  type Principal,
  problemMediaType,
  problemOf,
  type TokenVerifier,
} from '@tidings/chassis'
import type { MemberId } from '@tidings/protocol'
import type { FastifyReply, FastifyRequest, preValidationHookHandler } from 'fastify'
import type { Credentials } from '../backend/credentials.ts'
import type { Metrics } from '../ops/metrics.ts'

/** Whether this gateway accepts another session. */
export interface Capacity {
  readonly draining: boolean
  readonly full: boolean
  /** Returns after how many ms another session of the member is accepted; 0 means at once. */
  retryAfterMs(memberId: MemberId): number
}

export interface HandshakeDeps {
  readonly capacity: Capacity
  readonly allowOrigin: (origin: string | undefined) => boolean
  readonly tokens: TokenVerifier
  readonly memberCookie: string
  readonly metrics: Metrics
}

/** The member at the other end of a connection, as the handshake established it. */
export interface Peer {
  readonly principal: Principal
  readonly credentials: Credentials
}

/** `Retry-After` of a gateway that is stopping: the load balancer has another one. */
const drainingRetrySeconds = '1'
/** `Retry-After` of a gateway that is full. */
const fullRetrySeconds = '5'

const tooMany = 'too many sessions of this member were displaced within a minute (MAX_SESSIONS_PER_MEMBER)'

/** Name of the request decorator that carries the peer from the handshake to the upgraded connection. */
export const peerDecorator = 'peer'

/**
 * Returns the steps before an upgrade (PROTOCOL.md §2): capacity, Origin, member, displacements. Each may refuse with an HTTP response that states the
 * reason. A refused upgrade never becomes an open socket.
 */
export function handshake({ capacity, allowOrigin, tokens, memberCookie, metrics }: HandshakeDeps): preValidationHookHandler {
  const refuse = (reply: FastifyReply, status: number, detail: string): void => {
    metrics.refused(status)
    reply.code(status).type(problemMediaType).send(problemOf(status, detail))
  }
  // With callbacks: where the key is known, a handshake needs no promise.
  return (request, reply, done) => {
    if (!request.ws) return refuse(reply.header('upgrade', 'websocket'), 426, 'this is a WebSocket endpoint')
    if (capacity.draining) return refuse(reply.header('retry-after', drainingRetrySeconds), 503, 'this gateway is stopping')
    if (capacity.full) return refuse(reply.header('retry-after', fullRetrySeconds), 503, 'this gateway is full')
    const { origin, cookie = '' } = request.headers
    if (!allowOrigin(origin)) return refuse(reply, 403, 'the Origin is not allowed')
    const token = request.server.parseCookie(cookie)[memberCookie]
    const admit = (member: MemberVerdict) => {
      if (member.refused !== undefined) return refuse(reply, 401, `cookie ${memberCookie}: ${member.refused}`)
      const retryAfterMs = capacity.retryAfterMs(member.principal.memberId)
      if (retryAfterMs > 0) return refuse(reply.header('retry-after', String(Math.ceil(retryAfterMs / 1_000))), 429, tooMany)
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

/** A token is a slice of the Cookie header, and would retain all of it for as long as the session lives. */
function copyOf(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}

/**
 * Returns the peer that passed the handshake with this request.
 *
 * @throws Error when the request did not pass it.
 */
export function peerOf(request: FastifyRequest): Peer {
  const peer = request.getDecorator<Peer | null>(peerDecorator)
  if (!peer) throw new Error('the request did not pass the handshake')
  return peer
}
