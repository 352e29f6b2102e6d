import { join } from 'node:path'
import {
  createDatabase,
  developmentSecrets,
  localOrigin,
  type OwnedProcess,
  serviceToken,
  spawnOwned,
  startDatabase,
  startRedis,
} from '@tidings/local'
import { cpuSeconds } from './cpu.ts'
import { load, median } from './load.ts'

const rounds = Number(process.env['BENCH_ROUNDS'] ?? 20)
const secondsPerRound = Number(process.env['BENCH_SECONDS'] ?? 1)
const connections = 64
const loneRequests = 200
/** Long enough for what follows an answer to be over: a lone post meets nobody, not even the one before it. */
const lonePauseMs = 3
const warmUpSeconds = 4
/** What MySQL 8 does unless told otherwise, and every replicated server: each commit is in the binary log, and on disk. */
const asMysqlCommits = ['--log-bin=binlog', '--sync-binlog=1', '--server-id=1']

interface Round {
  readonly perSecond: number
  readonly cpuMicroseconds: number
  readonly loneMs: number
  readonly consecutiveMs: number
}

/**
 * notify-api against the naive version: an INSERT in autocommit, then a PUBLISH. Same HTTP stack, same table, same database server;
 * short rounds alternate, and the ratio is the median of those of neighbours: a machine that is shared changes its speed by the second.
 */
const database = await startDatabase({ flags: asMysqlCommits })
const redis = await startRedis()
const token = serviceToken()
const contestants = await Promise.all([
  open('naive', join(import.meta.dirname, 'naive-api.js')),
  open('ours', join(import.meta.dirname, '../../../services/notify-api/dist/main.js')),
])
for (const { url } of contestants) await load({ url, token, connections, seconds: warmUpSeconds })

const results = new Map<string, Round[]>(contestants.map(({ name }) => [name, []]))
for (let round = 0; round < rounds; round++) {
  for (const { name, url, service } of contestants) {
    const pids = [service.pid, database.process.pid]
    const one = { url, token, connections: 1, seconds: secondsPerRound, requests: loneRequests }
    const lone = await load({ ...one, pauseMs: lonePauseMs })
    const consecutive = await load(one)
    const before = cpuSeconds(pids)
    const busy = await load({ url, token, connections, seconds: secondsPerRound })
    const cpu = cpuSeconds(pids) - before
    results.get(name)?.push({
      perSecond: busy.answers / busy.seconds,
      cpuMicroseconds: (cpu / busy.answers) * 1e6,
      loneMs: median(lone.latencies),
      consecutiveMs: median(consecutive.latencies),
    })
  }
}

const [naive, ours] = contestants.map(({ name }) => results.get(name) ?? []) as [Round[], Round[]]
print('posts a second, 64 connections', ({ perSecond }) => perSecond, '>= 2')
print('CPU of service and database, us a post', ({ cpuMicroseconds }) => cpuMicroseconds, '<= 0.5')
print('latency of a lone post, ms (median)', ({ loneMs }) => loneMs, '<= 1.2')
print('the same, one right after the other', ({ consecutiveMs }) => consecutiveMs)

await Promise.all(contestants.map(({ service }) => service.stop()))
await redis.stop()
await database.stop()

async function open(name: string, program: string): Promise<{ name: string; url: string; service: OwnedProcess }> {
  const databaseUrl = await createDatabase(database.url, `bench_${name}`)
  const service = spawnOwned({
    name,
    command: process.execPath,
    args: ['--enable-source-maps', program],
    env: {
      PATH: process.env['PATH'],
      NODE_ENV: 'test',
      HOST: '127.0.0.1',
      PORT: '0',
      OPS_PORT: '0',
      MYSQL_URL: databaseUrl,
      REDIS_URL: redis.url,
      ALLOWED_ORIGINS: localOrigin,
      MEMBER_JWT_SECRET: developmentSecrets.member,
      SERVICE_JWT_SECRET: developmentSecrets.service,
    },
  })
  const port = await service.firstLine((line) => Number(/"port":(\d+),"opsPort"/.exec(line)?.[1]) || undefined, 20_000)
  return { name, url: `http://127.0.0.1:${port}`, service }
}

function print(what: string, figure: (round: Round) => number, target?: string): void {
  const plain = naive.map(figure)
  const own = ours.map(figure)
  const ratio = median(own.map((value, round) => value / (plain[round] ?? Number.NaN)))
  console.log(
    `${what.padEnd(42)} naive ${median(plain).toFixed(2).padStart(9)}   ours ${median(own).toFixed(2).padStart(9)}   ratio ${ratio.toFixed(2)}${target ? ` (${target})` : ''}`,
  )
}
