import { lookup } from 'node:dns'
import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import { type PrivateAddresses, publicLookup } from './endpoint.ts'

/** A response of a push service. */
export interface PushResponse {
  readonly status: number
  /** The header `Retry-After`, in seconds. */
  readonly retryAfterSeconds?: number | undefined
  /** Beginning of the body: why a request was refused. */
  readonly text: string
}

export interface PushClientOptions {
  readonly privateAddresses: PrivateAddresses
  /** Most connections to one origin. */
  readonly perOrigin: number
}

/** Longest time of one request, from the lookup of the name to the end of the response. */
const timeoutMs = 5_000
/** A connection that was not used for so long is closed. */
const idleMs = 15_000
/** Part of a response that is read. */
const maxResponseBytes = 4_096
const maxTextLength = 120

/** Posts to push services. Follows no redirects, and connects to public addresses only, unless private ones are allowed. */
export class PushClient {
  readonly #http: http.Agent
  readonly #https: https.Agent

  constructor({ privateAddresses, perOrigin }: PushClientOptions, resolve = lookup) {
    const options = {
      keepAlive: true,
      maxSockets: perOrigin,
      maxFreeSockets: perOrigin,
      timeout: idleMs,
      ...(privateAddresses === 'refuse' && { lookup: publicLookup(resolve) }),
    }
    this.#http = new http.Agent(options)
    this.#https = new https.Agent(options)
  }

  /** Resolves to the response. Rejects when there is none in time. */
  post(endpoint: string, headers: Readonly<Record<string, string>>, body: Buffer): Promise<PushResponse> {
    const url = new URL(endpoint)
    const [{ request }, agent] = url.protocol === 'https:' ? [https, this.#https] : [http, this.#http]
    return new Promise((resolve, reject) => {
      const sent = request(url, { method: 'POST', agent, headers: { ...headers, 'content-length': body.length } })
      const timer = setTimeout(() => sent.destroy(new Error(`no response within ${timeoutMs} ms`)), timeoutMs)
      sent.on('response', (response) => {
        readBeginning(response)
          .then((text) => resolve(responseOf(response, text)), reject)
          .finally(() => clearTimeout(timer))
      })
      sent.on('error', (error) => {
        clearTimeout(timer)
        reject(error)
      })
      sent.end(body)
    })
  }

  close(): void {
    this.#http.destroy()
    this.#https.destroy()
  }
}

/** Resolves to the beginning of a body. A longer one ends the connection. */
async function readBeginning(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes > maxResponseBytes) break
  }
  return Buffer.concat(chunks).toString()
}

function responseOf({ statusCode = 0, headers }: IncomingMessage, text: string): PushResponse {
  return {
    status: statusCode,
    retryAfterSeconds: secondsUntil(headers['retry-after']),
    text: text
      .replace(/[^\x20-\x7e]+/g, ' ')
      .trim()
      .slice(0, maxTextLength),
  }
}

/** Returns the seconds of a `Retry-After`, which is a number of them or a date (RFC 9110 §10.2.3). */
function secondsUntil(retryAfter = ''): number | undefined {
  if (/^\d{1,9}$/.test(retryAfter)) return Number(retryAfter)
  const at = Date.parse(retryAfter)
  return Number.isNaN(at) ? undefined : Math.max(0, Math.ceil((at - Date.now()) / 1_000))
}
