import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import {
  connectStomp,
  createDatabase,
  type RedisServer,
  type ServiceProcess,
  serviceToken,
  startRedis,
  startService,
  waitFor,
} from '@tidings/local'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'

// The preload of infra/observability/opentelemetry, installed as its README says, in both services; they send to a receiver of this test.
const shipped = join(import.meta.dirname, '../../observability/opentelemetry')

interface Span {
  readonly service: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
}

/** The body of OTLP/HTTP in JSON, as far as this test reads it. */
interface Export {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly { key: string; value: { stringValue?: string } }[] }
    readonly scopeSpans: readonly { readonly spans: readonly Omit<Span, 'service'>[] }[]
  }[]
}

const server = 2
const client = 3
let preload: string
let receiver: Server
const spans: Span[] = []
let redis: RedisServer
let api: ServiceProcess
let gateway: ServiceProcess

beforeAll(async () => {
  preload = mkdtempSync(join(tmpdir(), 'tidings-opentelemetry-'))
  cpSync(shipped, preload, { recursive: true })
  const installed = spawnSync('npm', ['install', '--no-audit', '--no-fund'], { cwd: preload, encoding: 'utf8' })
  expect(installed.status, installed.stderr).toBe(0)
  receiver = createServer((request, response) => {
    void receive(request).finally(() => response.setHeader('content-type', 'application/json').end('{}'))
  })
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  redis = await startRedis()
  const traced = (name: string) => ({
    REDIS_URL: redis.url,
    NODE_OPTIONS: `--import=${join(preload, 'register.mjs')}`,
    OTEL_SERVICE_NAME: name,
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_BSP_SCHEDULE_DELAY: '100',
  })
  const MYSQL_URL = await createDatabase(inject('databaseServerUrl'), 'acceptance_tracing')
  api = await startService('notify-api', { ...traced('notify-api'), MYSQL_URL })
  gateway = await startService('realtime-gateway', { ...traced('realtime-gateway'), NOTIFY_API_URL: api.url })
}, 180_000)
afterAll(async () => {
  await Promise.all([api, gateway].map((service) => service?.kill()))
  await redis?.kill()
  receiver?.close()
  rmSync(preload, { recursive: true, force: true })
})

async function receive(request: IncomingMessage): Promise<void> {
  for (const { resource, scopeSpans } of ((await json(request)) as Export).resourceSpans) {
    const service = resource.attributes.find(({ key }) => key === 'service.name')?.value.stringValue ?? ''
    for (const span of scopeSpans.flatMap((scope) => scope.spans)) spans.push({ service, ...span })
  }
}

/** Resolves to the spans of a trace, once they satisfy `complete`. */
function spansOf(traceId: string, complete: (found: readonly Span[]) => boolean): Promise<Span[]> {
  const found = () => spans.filter((span) => span.traceId === traceId)
  return waitFor(() => (complete(found()) ? found() : undefined), { what: 'the spans', deadlineMs: 30_000 }).catch(
    (error: unknown) => {
      throw new Error(JSON.stringify(spans, undefined, 1), { cause: error })
    },
  )
}

test('a POST, its statements in MySQL and its delivery by the gateway belong to the trace of the caller', async () => {
  const { session } = await connectStomp(gateway.url, { memberId: 1 })
  session.sends('SUBSCRIBE\nid:0\ndestination:/member/queue/notification\nreceipt:0\n\n\0')
  expect((await session.nextFrame(20_000)).command).toBe('RECEIPT')
  const traceId = '0af7651916cd43dd8448eb211c80319c'
  const traceparent = `00-${traceId}-b7ad6b7169203331-01`
  const headers = { authorization: `Bearer ${serviceToken()}`, 'content-type': 'application/json', traceparent }
  const body = JSON.stringify({ memberId: 1, message: 'hello', redirectPath: '/' })
  expect((await fetch(`${api.url}/notification/send`, { method: 'POST', headers, body })).status).toBe(201)
  const message = await session.nextFrame(20_000)
  expect(message.headers.get('traceparent')).toBe(traceparent)

  const found = await spansOf(traceId, (each) => each.some(isStatement) && each.some(isDelivery) && each.some(isServer))
  expect(found.find(isServer)).toMatchObject({ service: 'notify-api', parentSpanId: 'b7ad6b7169203331' })
  expect(found.find(isDelivery)).toMatchObject({ parentSpanId: 'b7ad6b7169203331' })
})

test('the call that the gateway makes for a SEND is one trace of both services', async () => {
  const { session } = await connectStomp(gateway.url, { memberId: 2 })
  session.sends('SEND\ndestination:/publish/notification/read\nreceipt:1\n\n{"upTo":1}\0')
  expect((await session.nextFrame(20_000)).command).toBe('RECEIPT')
  const call = await waitFor(() => spans.find(isCall), { what: 'the span of the call', deadlineMs: 30_000 })
  const found = await spansOf(call.traceId, (each) => each.some(isServer))
  expect(found.find(isServer)).toMatchObject({ service: 'notify-api', parentSpanId: call.spanId })
})

function isServer({ kind }: Span): boolean {
  return kind === server
}

function isStatement({ service, kind, name }: Span): boolean {
  return service === 'notify-api' && kind === client && /INSERT/i.test(name)
}

function isDelivery({ service, name }: Span): boolean {
  return service === 'realtime-gateway' && name === 'deliver'
}

/** The call that the gateway makes for a SEND. */
function isCall({ service, kind }: Span): boolean {
  return service === 'realtime-gateway' && kind === client
}
