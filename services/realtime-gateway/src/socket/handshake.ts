import type { IncomingMessage } from 'node:http'
import {
  authenticateMember,
  type Log,
  memberChallenge,
  type MemberVerdict,
  presentedTokens,
  type Principal,
  requestIdOf,
  type Revocations,
  sendProblem,
  type TokenVerifier,
} from '@tidings/chassis'
import type { MemberId } from '@tidings/protocol'
import type { FastifyRequest, preValidationHookHandler } from 'fastify'
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

export interface AdmissionDeps {
  readonly capacity: Capacity
  readonly allowOrigin: (origin: string | undefined) => boolean
  readonly tokens: TokenVerifier
  readonly revocations: Revocations
  readonly memberCookie: string
}

export interface HandshakeDeps {
  readonly metrics: Metrics
  readonly log: Log
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

/** The HTTP response to an upgrade that is refused. */
export interface Refused {
  readonly status: number
  /** The reason, for the client. */
  readonly detail: string
  readonly headers: Readonly<Record<string, string>>
}

/** Result of the steps before an upgrade. */
export type Admission = { readonly peer: Peer; readonly refused?: undefined } | { readonly refused: Refused }

/** Decides on a request. `upgrade` is true when its connection can be upgraded. Returns a promise only if the key of a token may have to be fetched. */
export type Admit = (request: IncomingMessage, upgrade: boolean) => Admission | Promise<Admission>

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
export function admission({ capacity, allowOrigin, tokens, revocations, memberCookie }: AdmissionDeps): Admit {
  return (request, upgrade) => {
    if (capacity.draining) return draining
    // Requests for other protocols may come here, too, such as the `h2c` that HTTP clients offer.
    const asked = upgrade && request.headers.upgrade?.toLowerCase() === 'websocket'
    if (!asked) return refuse(426, 'this is a WebSocket endpoint', { upgrade: 'websocket' })
    if (capacity.full) return refuse(503, 'this gateway is full', { 'retry-after': fullRetrySeconds })
    const { origin, 'user-agent': userAgent } = request.headers
    const presented = presentedTokens(request.headers, memberCookie)
    const withCookie = presented.header === 'cookie'
    // A page of another site can make a browser send the cookie, but not `Authorization`. Clients that are no browsers send no Origin.
    if ((withCookie || origin !== undefined) && !allowOrigin(origin)) return refuse(403, 'the Origin is not allowed')
    const admit = (member: MemberVerdict): Admission => {
      // The drain began while the keys were fetched.
      if (capacity.draining) return draining
      if (member.refused !== undefined) {
        const source = withCookie ? `cookie ${memberCookie}` : 'authorization'
        const challenge = memberChallenge(presented, member.refused, memberCookie)
        return refuse(401, `${source}: ${member.refused}`, { 'www-authenticate': challenge })
      }
      const retryAfterMs = capacity.retryAfterMs(member.principal.memberId)
      if (retryAfterMs > 0) return refuse(429, tooMany, { 'retry-after': String(Math.ceil(retryAfterMs / 1_000)) })
      const peer: Peer = {
        requestId: requestIdOf(request),
        principal: member.principal,
        credentials: { token: copyOf(member.token), origin: withCookie ? origin : undefined },
        topics: topicPatternsOf(member.claims['topics']),
        userAgent: userAgent && copyOf(userAgent.slice(0, maxUserAgentLength)),
      }
      return { peer }
    }
    const member = authenticateMember(tokens, presented.tokens, revocations)
    return member instanceof Promise ? member.then(admit) : admit(member)
  }
}

function refuse(status: number, detail: string, headers: Readonly<Record<string, string>> = {}): Admission {
  return { refused: { status, detail, headers } }
}

const draining = refuse(503, 'this gateway is stopping', { 'retry-after': drainingRetrySeconds, connection: 'close' })

/** Returns the hook that admits a request of the route, or responds with the refusal. */
export function handshake(admit: Admit, { metrics, log }: HandshakeDeps): preValidationHookHandler {
  // With callbacks: where the key is known, a handshake needs no promise.
  return (request, reply, done) => {
    const conclude = (result: Admission): void => {
      if (!result.refused) {
        request.setDecorator<Peer>(peerDecorator, result.peer)
        return done()
      }
      const { status, detail, headers } = result.refused
      metrics.refused(status)
      // Counted, and logged only to find the reason of one client: anyone can cause refusals.
      log.debug({ requestId: request.id, status, detail }, 'upgrade refused')
      sendProblem(reply.headers(headers), status, detail)
    }
    const result = admit(request.raw, request.ws)
    if (result instanceof Promise) result.then(conclude, done)
    else conclude(result)
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
