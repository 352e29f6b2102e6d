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
const singlePosts = 200
/** Long enough for notify-api to finish its work after the response, so that single posts do not overlap. */
const singlePostPauseMs = 3
const warmUpSeconds = 4
/** Defaults of MySQL 8: every commit is written to the binary log and synced to disk. The defaults of MariaDB differ. */
const mysqlCommitFlags = ['--log-bin=binlog', '--sync-binlog=1', '--server-id=1']

/** Figures of one service in one round. */
interface Round {
  /** Throughput with `connections` connections. */
  readonly postsPerSecond: number
  /** CPU time of the service and the database for each post, under the same load. */
  readonly cpuMicrosecondsPerPost: number
  /** Median latency over one connection with `singlePostPauseMs` between the posts. */
  readonly pausedLatencyMs: number
  /** Median latency over one connection without a pause. */
  readonly latencyMs: number
}

/**
 * Compares notify-api with the naive version (`naive-api.ts`): an INSERT in autocommit, then a PUBLISH. Both have the same HTTP stack,
 * table and database server. The two are measured in short alternating rounds, as a shared machine changes its speed by the second. Each
 * ratio is notify-api / naive of one round, and the printed ratio is the median of all rounds.
 *
 * `BENCH_ROUNDS` (default 20) and `BENCH_SECONDS` (default 1, duration of each measurement) set the length of the run.
 */
const database = await startDatabase({ flags: mysqlCommitFlags })
const redis = await startRedis()
const token = serviceToken()
const services = await Promise.all([
  startApi('naive', join(import.meta.dirname, 'naive-api.js')),
  startApi('notify-api', join(import.meta.dirname, '../../../services/notify-api/dist/main.js')),
])
for (const { url } of services) await load({ url, token, connections, seconds: warmUpSeconds })

const results = new Map<string, Round[]>(services.map(({ name }) => [name, []]))
for (let round = 0; round < rounds; round++) {
  for (const { name, url, process: api } of services) {
    const pids = [api.pid, database.process.pid]
    const singleConnection = { url, token, connections: 1, seconds: secondsPerRound, maxRequests: singlePosts }
    const paused = await load({ ...singleConnection, pauseMs: singlePostPauseMs })
    const unpaused = await load(singleConnection)
    const cpuBefore = cpuSeconds(pids)
    const concurrent = await load({ url, token, connections, seconds: secondsPerRound })
    const cpu = cpuSeconds(pids) - cpuBefore
    results.get(name)?.push({
      postsPerSecond: concurrent.responses / concurrent.seconds,
      cpuMicrosecondsPerPost: (cpu / concurrent.responses) * 1e6,
      pausedLatencyMs: median(paused.latenciesMs),
      latencyMs: median(unpaused.latenciesMs),
    })
  }
}

const [naive, notifyApi] = services.map(({ name }) => results.get(name) ?? []) as [Round[], Round[]]
console.log(
  `notify-api compared with the naive version (one INSERT and one PUBLISH per post): medians of ${rounds} rounds, ratio = notify-api / naive`,
)
printComparison(`throughput, ${connections} connections (posts/s)`, ({ postsPerSecond }) => postsPerSecond, '>= 2')
printComparison('CPU of service and database (µs/post)', ({ cpuMicrosecondsPerPost }) => cpuMicrosecondsPerPost, '<= 0.5')
printComparison(
  `latency, 1 connection, ${singlePostPauseMs} ms between posts (ms)`,
  ({ pausedLatencyMs }) => pausedLatencyMs,
  '<= 1.2',
)
printComparison('latency, 1 connection, no pause (ms)', ({ latencyMs }) => latencyMs)

await Promise.all(services.map(({ process: api }) => api.stop()))
await redis.stop()
await database.stop()

/** Starts one of the two services with a database of its own, and resolves when it listens. */
async function startApi(name: string, program: string): Promise<{ name: string; url: string; process: OwnedProcess }> {
  const databaseUrl = await createDatabase(database.url, `bench_${name.replace('-', '_')}`)
  const api = spawnOwned({
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
  const port = await api.firstLine((line) => Number(/"port":(\d+),.*"msg":"listening"/.exec(line)?.[1]) || undefined, 20_000)
  return { name, url: `http://127.0.0.1:${port}`, process: api }
}

/** Prints one line: the figure of both services, their ratio, and the target for the ratio. */
function printComparison(label: string, figure: (round: Round) => number, target?: string): void {
  const naiveFigures = naive.map(figure)
  const notifyApiFigures = notifyApi.map(figure)
  const ratio = median(notifyApiFigures.map((value, round) => value / (naiveFigures[round] ?? Number.NaN)))
  console.log(
    `${label.padEnd(48)} naive ${column(naiveFigures)}   notify-api ${column(notifyApiFigures)}   ratio ${ratio.toFixed(2)}${target ? ` (target ${target})` : ''}`,
  )
}

function column(figures: readonly number[]): string {
  return median(figures).toFixed(2).padStart(9)
}
