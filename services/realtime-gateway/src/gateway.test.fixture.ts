import {
  connectStomp,
  type RawSession,
  type RedisServer,
  type ServerFrame,
  type ServiceProcess,
  type StompOptions,
  startRedis,
  startService,
  waitFor,
} from '@tidings/local'
import { openPublisher, type Publisher } from './publisher.test.fixture.ts'

/** A test file's own Redis, and gateways of the built code on it. */
export interface Bed {
  readonly redis: RedisServer
  readonly publisher: Publisher
  /** Another gateway, that has found Redis. */
  gateway(env?: NodeJS.ProcessEnv, options?: { onLine?: (line: string) => void }): Promise<ServiceProcess>
  close(): Promise<void>
}

export async function openBed(): Promise<Bed> {
  const redis = await startRedis()
  const publisher = openPublisher(redis.url)
  const gateways: ServiceProcess[] = []
  return {
    redis,
    publisher,
    async gateway(env = {}, options = {}) {
      const gateway = await startService('realtime-gateway', { REDIS_URL: redis.url, DRAIN_SECONDS: '1', ...env }, options)
      gateways.push(gateway)
      await ready(gateway)
      return gateway
    },
    async close() {
      publisher.close()
      await Promise.all(gateways.map((gateway) => gateway.kill()))
      await redis.kill()
    },
  }
}

export async function ready(gateway: ServiceProcess): Promise<void> {
  await waitFor(async () => (await ops(gateway, '/ready')).status === 200, {
    what: 'the gateway to be ready',
    deadlineMs: 30_000,
  })
}

export async function ops(gateway: ServiceProcess, path: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${gateway.opsPort}${path}`)
  return { status: response.status, text: await response.text() }
}

/** The value of a metric, by its name after `tidings_gateway_` with its labels; 0 when there is none yet. */
export async function metric(gateway: ServiceProcess, name: string): Promise<number> {
  const { text } = await ops(gateway, '/metrics')
  const line = text
    .split('\n')
    .find((each) => each.startsWith(/^(process|nodejs)_/.test(name) ? `${name} ` : `tidings_gateway_${name} `))
  return Number(line?.split(' ').at(-1) ?? 0)
}

/** A connected session. */
export async function connected(gateway: { url: string }, options: StompOptions = {}): Promise<RawSession> {
  return (await connectStomp(gateway.url, options)).session
}

/** SUBSCRIBE with a receipt; answers the RECEIPT. */
export async function subscribed(
  session: RawSession,
  id: string,
  destination: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<ServerFrame> {
  sendFrame(session, 'SUBSCRIBE', { id, destination, receipt: `receipt-${id}`, ...headers })
  const frame = await session.nextFrame(20_000)
  if (frame.command !== 'RECEIPT') throw new Error(`${frame.command} ${frame.headers.get('message')} ${frame.body}`)
  return frame
}

export function sendFrame(session: RawSession, command: string, headers: Readonly<Record<string, string>> = {}, body = ''): void {
  const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`)
  session.sends(`${command}\n${lines.join('')}\n${body}\0`)
}

/** The next frames, which must be MESSAGEs: their bodies. */
export async function bodies(session: RawSession, count: number, deadlineMs = 20_000): Promise<string[]> {
  const received: string[] = []
  while (received.length < count) received.push((await message(session, deadlineMs)).body)
  return received
}

export async function message(session: RawSession, deadlineMs = 20_000): Promise<ServerFrame> {
  const frame = await session.nextFrame(deadlineMs)
  if (frame.command !== 'MESSAGE') throw new Error(`${frame.command} ${frame.headers.get('message')} ${frame.body}`)
  return frame
}

/** Proves that everything before has been said: a receipt comes after it, and nothing else. */
export async function nothingElse(session: RawSession): Promise<void> {
  sendFrame(session, 'BEGIN', { transaction: 'nothing-else', receipt: 'nothing-else' })
  sendFrame(session, 'ABORT', { transaction: 'nothing-else' })
  const frame = await session.nextFrame()
  if (frame.headers.get('receipt-id') !== 'nothing-else') throw new Error(`${frame.command} ${frame.body}`)
}

/** `<from>`, …, `<through>`. */
export function numbers(from: number, through: number): string[] {
  return Array.from({ length: through - from + 1 }, (_, index) => String(from + index))
}
