import { createDecipheriv, createECDH, type ECDH, hkdfSync, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { createVerifier } from 'fast-jwt'

/** A push service like those of browsers (RFC 8030), on a loopback port. It has the keys of its browsers, so it can decrypt. */
export interface PushService {
  readonly origin: string
  /** Returns a subscription of a new browser. */
  subscribe(): PushServiceSubscription
  close(): Promise<void>
}

export interface PushServiceSubscription {
  /** The body of `PUT /push/subscription`. */
  readonly body: { readonly endpoint: string; readonly keys: { readonly p256dh: string; readonly auth: string } }
  /** The messages that this browser got, in order. */
  readonly messages: ReceivedPush[]
  /** Sets how later requests are responded to, each with the next one and from then on with the last one. Without any: 201. */
  respond(...responses: PushServiceResponse[]): void
}

/** A response; or silence, with the connection open. */
export type PushServiceResponse = { readonly status: number; readonly headers?: Record<string, string> } | 'hang'

/** A message that was decrypted, and whose sender was verified. */
export interface ReceivedPush {
  /** The plaintext, parsed. */
  readonly payload: Record<string, unknown>
  readonly plaintextBytes: number
  readonly ttlSeconds: number
  readonly urgency: string | undefined
  readonly topic: string | undefined
  /** Claims of the VAPID token (RFC 8292). */
  readonly claims: Record<string, unknown>
  /** The `applicationServerKey` of the sender. */
  readonly publicKey: string
  readonly receivedAt: number
  /** How it was responded to. */
  readonly response: PushServiceResponse
}

/** The sender of a message, from its VAPID token. */
type Sender = Pick<ReceivedPush, 'claims' | 'publicKey'>

interface Browser {
  readonly keys: ECDH
  readonly auth: Buffer
  readonly messages: ReceivedPush[]
  readonly responses: PushServiceResponse[]
}

const created: PushServiceResponse = { status: 201 }
/** Largest body that a push service must accept (RFC 8030 §7.2). */
const maxBodyBytes = 4_096

/** Starts a push service. With `tls`, a certificate and its key in PEM, it speaks HTTPS. */
export async function startPushService(tls?: { readonly cert: string; readonly key: string }): Promise<PushService> {
  const browsers = new Map<string, Browser>()
  const senders = new Map<string | undefined, Sender>()
  /** Senders use a token for hours. */
  const senderOf = ({ headers: { authorization } }: IncomingMessage): Sender => {
    const sender = senders.get(authorization) ?? verifyVapid(authorization, origin)
    senders.set(authorization, sender)
    return sender
  }
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    receive(browsers, senderOf, request).then(
      (outcome) => send(response, outcome),
      (error: unknown) => response.writeHead(400).end(String(error)),
    )
  }
  const server = tls ? createTlsServer(tls, listener) : createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    origin,
    subscribe() {
      const keys = createECDH('prime256v1')
      keys.generateKeys()
      const browser: Browser = { keys, auth: randomBytes(16), messages: [], responses: [] }
      const path = `/push/${randomBytes(16).toString('base64url')}`
      browsers.set(path, browser)
      return {
        body: {
          endpoint: origin + path,
          keys: { p256dh: keys.getPublicKey('base64url'), auth: browser.auth.toString('base64url') },
        },
        messages: browser.messages,
        respond: (...responses) => void browser.responses.splice(0, Infinity, ...responses),
      }
    },
    close() {
      server.closeAllConnections()
      return new Promise((resolve) => void server.close(() => resolve()))
    },
  }
}

async function receive(
  browsers: ReadonlyMap<string, Browser>,
  senderOf: (request: IncomingMessage) => Sender,
  request: IncomingMessage,
): Promise<PushServiceResponse> {
  const body = await buffer(request)
  const browser = browsers.get(request.url ?? '')
  if (!browser || request.method !== 'POST') return { status: 404 }
  if (body.length > maxBodyBytes) return { status: 413 }
  const { headers } = request
  if (headers['content-encoding'] !== 'aes128gcm') throw new Error('Content-Encoding is not aes128gcm')
  if (!/^\d+$/.test(String(headers['ttl']))) throw new Error('TTL is missing')
  if (!/^[\w-]{1,32}$/.test(String(headers['topic'] ?? 'none'))) throw new Error('Topic is not valid')
  const plaintext = decryptPush(body, browser)
  const [response = created] = browser.responses.length > 1 ? browser.responses.splice(0, 1) : browser.responses
  browser.messages.push({
    payload: JSON.parse(plaintext.toString()) as Record<string, unknown>,
    plaintextBytes: plaintext.length,
    ttlSeconds: Number(headers['ttl']),
    urgency: headers['urgency'] as string | undefined,
    topic: headers['topic'] as string | undefined,
    ...senderOf(request),
    receivedAt: Date.now(),
    response,
  })
  return response
}

function send(response: ServerResponse, outcome: PushServiceResponse): void {
  if (outcome !== 'hang') response.writeHead(outcome.status, outcome.headers).end()
}

/** Decrypts a body of `aes128gcm` as a browser does (RFC 8188, RFC 8291). */
export function decryptPush(body: Buffer, { keys, auth }: { keys: ECDH; auth: Buffer }): Buffer {
  const salt = body.subarray(0, 16)
  const idEnd = 21 + body.readUInt8(20)
  const sender = body.subarray(21, idEnd)
  const record = body.subarray(idEnd)
  if (record.length > body.readUInt32BE(16)) throw new Error('there is more than one record')
  const info = Buffer.concat([Buffer.from('WebPush: info\0'), keys.getPublicKey(), sender])
  const secret = derive(keys.computeSecret(sender), auth, info, 32)
  const key = derive(secret, salt, Buffer.from('Content-Encoding: aes128gcm\0'), 16)
  const nonce = derive(secret, salt, Buffer.from('Content-Encoding: nonce\0'), 12)
  const decipher = createDecipheriv('aes-128-gcm', key, nonce).setAuthTag(record.subarray(-16))
  const padded = Buffer.concat([decipher.update(record.subarray(0, -16)), decipher.final()])
  const end = padded.lastIndexOf(2)
  if (end < 0 || padded.subarray(end + 1).some((byte) => byte !== 0)) throw new Error('the padding is not valid')
  return padded.subarray(0, end)
}

function derive(secret: Buffer, salt: Buffer, info: Buffer, bytes: number): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, salt, info, bytes))
}

/** Verifies `Authorization: vapid` for an origin. Throws when it is not valid. */
export function verifyVapid(authorization: string | undefined, origin: string, now = Date.now()): Sender {
  const [, token = '', publicKey = ''] = /^vapid t=([\w.-]+), ?k=([\w-]+)$/.exec(authorization ?? '') ?? []
  const point = Buffer.from(publicKey, 'base64url')
  // The public key in the form of SPKI: its constant beginning for P-256, and the point.
  const spki = Buffer.concat([Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex'), point])
  const pem = `-----BEGIN PUBLIC KEY-----\n${spki.toString('base64')}\n-----END PUBLIC KEY-----`
  const verify = createVerifier({ key: pem, algorithms: ['ES256'], allowedAud: origin, clockTimestamp: now })
  const claims = verify(token) as Record<string, unknown>
  if (Number(claims['exp']) > now / 1_000 + 86_400) throw new Error('exp is more than 24 h ahead')
  return { claims, publicKey }
}
