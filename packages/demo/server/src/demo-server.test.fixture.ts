import type { IncomingHttpHeaders } from 'node:http'
import { developmentSecrets, localOrigin } from '@tidings/local'
import { fastify } from 'fastify'
import { type DemoOptions, demoServer } from './index.ts'

export interface RunningServer {
  readonly url: string
  close(): Promise<void>
}

/** Starts the demo server alone, with login unless `options` say otherwise. */
export async function startDemo(options: Partial<DemoOptions> = {}): Promise<RunningServer> {
  const app = fastify({ forceCloseConnections: true })
  await app.register(demoServer, {
    notifyApiUrl: 'http://127.0.0.1:1',
    allowedOrigins: [localOrigin],
    memberCookie: 'access_token',
    memberTokens: {
      key: { secret: developmentSecrets.member },
      rules: { subjectClaim: 'sub', leewaySeconds: 5, maxTokenDays: 90 },
      unset: [],
    },
    signingSecrets: developmentSecrets,
    pageDirectory: '/nowhere',
    onFailure: () => {},
    ...options,
  })
  return { url: await app.listen({ host: '127.0.0.1', port: 0 }), close: () => app.close() }
}

export interface ApiRequest {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: unknown
}

/** Starts a stand-in for notify-api that records requests and responds with 201. */
export async function startApi(): Promise<RunningServer & { readonly requests: ApiRequest[] }> {
  const app = fastify({ forceCloseConnections: true })
  const requests: ApiRequest[] = []
  app.all('/*', ({ method, url, headers, body }, reply) => {
    requests.push({ method, url, headers, body })
    return reply.code(201).send({ notificationId: 1 })
  })
  return { url: await app.listen({ host: '127.0.0.1', port: 0 }), requests, close: () => app.close() }
}

export function postJson(url: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
}
