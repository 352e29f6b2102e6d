import {
  authenticateMember,
  memberChallenge,
  type MemberVerdict,
  presentedTokens,
  type Principal,
  type Revocations,
  sendProblem,
  type TokenVerifier,
} from '@tidings/chassis'
import type { MemberId } from '@tidings/protocol'
import type { FastifyReply, FastifyRequest, preValidationHookHandler } from 'fastify'
import type { Credentials } from '../backend/credentials.ts'
import type { Metrics } from '../ops/metrics.ts'
import { topicPatternsOf } from '../session/topic-access.ts'

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
  readonly revocations: Revocations
  readonly memberCookie: string
  readonly metrics: Metrics
}

/** The member at the other end of a connection, as the handshake established it. */
export interface Peer {
  /** Id of the request that opened the connection. */
  readonly requestId: string
  readonly principal: Principal
  readonly credentials: Credentials
  /** The `User-Agent` header, at most {@link maxUserAgentLength} characters. */
  readonly userAgent: string | undefined
  /** Patterns of the topics that the token permits. */
  readonly topics: readonly string[]
}

/** `Retry-After` of a gateway that is stopping: the load balancer has another one. */
const drainingRetrySeconds = '1'
/** `Retry-After` of a gateway that is full. */
const fullRetrySeconds = '5'

const tooMany = 'too many sessions of this member were displaced within a minute (MAX_SESSIONS_PER_MEMBER)'

/** Characters of the `User-Agent` header that a session keeps, for the list of a member's sessions. */
const maxUserAgentLength = 200

/** Name of the request decorator that carries the peer from the handshake to the upgraded connection. */
export const peerDecorator = 'peer'

/**
 * Returns the steps before an upgrade (PROTOCOL.md §2): capacity, Origin, member, displacements. Each may refuse with an HTTP response that states the
 * reason. A refused upgrade never becomes an open socket.
 */
export function handshake({
  capacity,
  allowOrigin,
  tokens,
  revocations,
  memberCookie,
  metrics,
}: HandshakeDeps): preValidationHookHandler {
  const refuse = (reply: FastifyReply, status: number, detail: string): void => {
    metrics.refused(status)
    sendProblem(reply, status, detail)
  }
  const refuseDraining = (reply: FastifyReply): void =>
    refuse(reply.header('retry-after', drainingRetrySeconds).header('connection', 'close'), 503, 'this gateway is stopping')
  // With callbacks: where the key is known, a handshake needs no promise.
  return (request, reply, done) => {
    if (capacity.draining) return refuseDraining(reply)
    // The plugin also routes upgrades to other protocols here, such as the `h2c` that HTTP clients offer.
    const asked = request.ws && request.headers.upgrade?.toLowerCase() === 'websocket'
    if (!asked) return refuse(reply.header('upgrade', 'websocket'), 426, 'this is a WebSocket endpoint')
    if (capacity.full) return refuse(reply.header('retry-after', fullRetrySeconds), 503, 'this gateway is full')
    const { origin, 'user-agent': userAgent } = request.headers
    const presented = presentedTokens(request.headers, memberCookie)
    const withCookie = presented.header === 'cookie'
    // A page of another site can make a browser send the cookie, but not `Authorization`. Clients that are no browsers send no Origin.
    if ((withCookie || origin !== undefined) && !allowOrigin(origin)) return refuse(reply, 403, 'the Origin is not allowed')
    const admit = (member: MemberVerdict) => {
      // The drain began while the keys were fetched.
      if (capacity.draining) return refuseDraining(reply)
      if (member.refused !== undefined) {
        const source = withCookie ? `cookie ${memberCookie}` : 'authorization'
        const challenge = memberChallenge(presented, member.refused, memberCookie)
        return refuse(reply.header('www-authenticate', challenge), 401, `${source}: ${member.refused}`)
      }
      const retryAfterMs = capacity.retryAfterMs(member.principal.memberId)
      if (retryAfterMs > 0) return refuse(reply.header('retry-after', String(Math.ceil(retryAfterMs / 1_000))), 429, tooMany)
      request.setDecorator<Peer>(peerDecorator, {
        requestId: request.id,
        principal: member.principal,
        credentials: { token: copyOf(member.token), origin: withCookie ? origin : undefined },
        topics: topicPatternsOf(member.claims['topics']),
        userAgent: userAgent && copyOf(userAgent.slice(0, maxUserAgentLength)),
      })
      done()
    }
    const member = authenticateMember(tokens, presented.tokens, revocations)
    if (member instanceof Promise) member.then(admit, done)
    else admit(member)
  }
}

/** A slice of a header would retain all of it for as long as the session lives. */
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
