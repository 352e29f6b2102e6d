import {
  createDatabase,
  localOrigin,
  memberToken,
  type RedisServer,
  type ServiceOptions,
  type ServiceProcess,
  serviceToken,
  startRedis,
  startService,
} from '@tidings/local'
import { decodePublication, formatPosition } from '@tidings/protocol'
import { Redis } from 'ioredis'
import { createConnection, createPool, type RowDataPacket } from 'mysql2/promise'
import { inject } from 'vitest'

/** A test file's own database and Redis, and instances of the built service on them. */
export interface Stack {
  readonly databaseUrl: string
  readonly redis: RedisServer
  /** Another instance; `dist` must be built. Its patience with MySQL and Redis is {@link patient}. */
  start(env?: NodeJS.ProcessEnv, options?: ServiceOptions): Promise<NotifyApi>
  rows<Row = Record<string, unknown>>(sql: string, values?: readonly unknown[]): Promise<Row[]>
  count(table: string): Promise<number>
  /** Rows and index entries the database looks at for a statement. */
  rowsRead(sql: string, values: readonly unknown[]): Promise<number>
  /** Adds rows to a member's inbox without publishing them, in bulk. */
  fill(memberId: number, count: number): Promise<void>
  /** Holds up everybody who writes to the table, until what it returns is called. */
  lockTable(table: string): Promise<() => Promise<void>>
  /** Listens like a gateway; resolves when Redis has confirmed. */
  listen(...channels: string[]): Promise<Listener>
  close(): Promise<void>
}

export interface NotifyApi extends ServiceProcess {
  again(): Promise<NotifyApi>
  /** As a backend with every scope. */
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer>
  send(body: Record<string, unknown>, headers?: Record<string, string>): Promise<Answer>
  /** As a member's browser. */
  member(memberId: number): { get(path: string): Promise<Answer>; post(path: string, body?: unknown): Promise<Answer> }
  ops(path: string): Promise<string>
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** Of a body that is a JSON object; empty otherwise. */
  readonly body: Readonly<Record<string, unknown>>
}

/** What came on the channels, in order. */
export interface Listener {
  readonly publications: {
    readonly channel: string
    readonly position: string | undefined
    readonly body: Record<string, unknown>
  }[]
  close(): void
}

export const hello = { memberId: 1, message: '새로운 알림이 도착했습니다.', redirectPath: '/dashboard' }

const digits = `(${Array.from({ length: 10 }, (_, digit) => `SELECT ${digit} AS d`).join(' UNION ALL ')})`
/** A table expression of a million rows, with the columns a.d to f.d. */
export const million = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => `${digits} AS ${name}`).join(', ')

/** A machine that has other work to do is not taken for an outage. A test of an outage says what it needs. */
const patient = { PUBLISH_TIMEOUT_MS: '10000', DATABASE_TIMEOUT_MS: '15000', MAX_QUEUED_MS: '15000' }

const json = { 'content-type': 'application/json' }
const answerDeadlineMs = 20_000

export async function openStack(name: string): Promise<Stack> {
  const databaseUrl = await createDatabase(inject('databaseServerUrl'), `notify_api_${name}`)
  const redis = await startRedis()
  const pool = createPool({ uri: databaseUrl, connectionLimit: 2, supportBigNumbers: true })
  const services: NotifyApi[] = []
  const listeners: Listener[] = []
  const rows = async <Row>(sql: string, values: readonly unknown[] = []) => {
    const [found] = await pool.query<RowDataPacket[]>(sql, [...values])
    return found as Row[]
  }
  return {
    databaseUrl,
    redis,
    async start(env = {}, options = {}) {
      const needed = { ...patient, MYSQL_URL: databaseUrl, REDIS_URL: redis.url }
      return callable(await startService('notify-api', { ...needed, ...env }, options), services)
    },
    rows,
    async count(table) {
      const [row] = await rows<{ count: number }>('SELECT COUNT(*) AS count FROM ??', [table])
      return row?.count ?? 0
    },
    async rowsRead(sql, values) {
      const connection = await createConnection(databaseUrl)
      await connection.query('FLUSH STATUS')
      await connection.query(sql, [...values])
      const [found] = await connection.query<RowDataPacket[]>("SHOW SESSION STATUS LIKE 'Handler_read%'")
      await connection.end()
      return (found as { Value: string }[]).reduce((total, { Value }) => total + Number(Value), 0)
    },
    async fill(memberId, count) {
      await rows(`INSERT INTO notification (member_id, message, redirect_path) SELECT ?, 'hello', '/' FROM ${million} LIMIT ?`, [
        memberId,
        count,
      ])
    },
    async lockTable(table) {
      const connection = await createConnection(databaseUrl)
      await connection.query('LOCK TABLES ?? WRITE', [table])
      return () => connection.end()
    },
    async listen(...channels) {
      const listener = await listen(redis.url, channels)
      listeners.push(listener)
      return listener
    },
    async close() {
      for (const listener of listeners) listener.close()
      await Promise.all(services.map((service) => service.kill()))
      await pool.end()
      await redis.kill()
    },
  }
}

function callable(service: ServiceProcess, services: NotifyApi[]): NotifyApi {
  const bearer = { authorization: `Bearer ${serviceToken()}` }
  const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
    call(`${service.url}${path}`, { method: 'POST', headers: { ...bearer, ...json, ...headers }, body: textOf(body) })
  const api: NotifyApi = {
    ...service,
    again: async () => callable(await service.again(), services),
    post,
    send: (body, headers) => post('/notification/send', body, headers),
    member: (memberId) => {
      const headers = { cookie: `access_token=${memberToken(memberId)}`, origin: localOrigin }
      return {
        get: (path) => call(`${service.url}${path}`, { headers }),
        post: (path, body) =>
          call(`${service.url}${path}`, { method: 'POST', headers: { ...headers, ...json }, body: textOf(body) }),
      }
    },
    ops: async (path) => (await call(`http://127.0.0.1:${service.opsPort}${path}`, {})).text,
  }
  services.push(api)
  return api
}

function textOf(body: unknown): string {
  return typeof body === 'string' ? body : body === undefined ? '' : JSON.stringify(body)
}

export async function call(url: string, init: RequestInit): Promise<Answer> {
  const response = await fetch(url, { ...init, signal: AbortSignal.timeout(answerDeadlineMs) })
  const text = await response.text()
  const isJson = /json/.test(response.headers.get('content-type') ?? '')
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: isJson ? (JSON.parse(text) as Record<string, unknown>) : {},
  }
}

async function listen(url: string, channels: readonly string[]): Promise<Listener> {
  const redis = new Redis(url, { retryStrategy: () => 50, maxRetriesPerRequest: null })
  redis.on('error', () => {})
  const publications: Listener['publications'] = []
  redis.on('messageBuffer', (channel: Buffer, payload: Buffer) => {
    const { position, body } = decodePublication(payload)
    publications.push({
      channel: channel.toString(),
      position: position && formatPosition(position),
      body: JSON.parse(Buffer.from(body).toString()) as Record<string, unknown>,
    })
  })
  await redis.subscribe(...channels)
  return { publications, close: () => redis.disconnect() }
}
