import { Redis } from 'ioredis'
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import {
  createDatabase,
  localOrigin,
  memberToken,
  type ServiceProcess,
  serviceToken,
  startDatabase,
  startRedis,
  startService,
  waitFor,
} from '@tidings/local'
import { generatedTokens } from '@tidings/producer/example/model-server'
import { createTask, type Task } from '@tidings/producer'
import { median } from './load.ts'

const tokens = generatedTokens(Number(process.env['BENCH_TOKENS'] ?? 1_500))
const tokensPerSecond = 150
/** Text of the task whose memory is measured. */
const textBytesOfMemoryTask = 100_000
/** How often a token is repeated to reach that size. */
const tokenRepeats = 10
/** Number of answers that are streamed at the same time. */
const answers = Number(process.env['BENCH_ANSWERS'] ?? 4)
/** Number of cancels, one after the other. */
const cancels = Number(process.env['BENCH_CANCELS'] ?? 20)

/** Cost of 1,000 tokens in Redis. */
interface RedisCost {
  readonly cpuMicroseconds: number
  readonly bytesIn: number
  readonly bytesOut: number
  readonly publications: number
}

/**
 * Measures three things:
 *
 * - the cost of 1,000 tokens in Redis with one subscriber, at the pace of a model: text streamed with `pipe`, which notify-api rolls up,
 *   compared with one `append` and so one publication for each token;
 * - the memory that a task with 100 KB of text takes in Redis;
 * - the time from a member's cancel to the end of the producer's stream while it is silent.
 *
 * `BENCH_TOKENS` (default 1,500), `BENCH_ANSWERS` (default 4) and `BENCH_CANCELS` (default 20) set the length of the run.
 */
const database = await startDatabase()
const redis = await startRedis()
const env = { MYSQL_URL: await createDatabase(database.url, 'bench_task'), REDIS_URL: redis.url }
const [api, otherApi] = await Promise.all([startService('notify-api', env), startService('notify-api', env)])
const admin = new Redis(redis.url)

const rolledUp = await measureCost((task) => task.pipe(pacedTokens()))
const tokenByToken = await measureCost(async (task) => {
  for await (const token of pacedTokens()) await task.append(token)
})
console.log(
  `cost of 1,000 tokens in Redis, ${answers} answers at ${tokensPerSecond} tokens/s: ratio = streamed and rolled up / one append per token`,
)
printComparison('CPU of Redis (µs)', tokenByToken.cpuMicroseconds, rolledUp.cpuMicroseconds)
printComparison('received by Redis (bytes)', tokenByToken.bytesIn, rolledUp.bytesIn)
printComparison('sent by Redis (bytes)', tokenByToken.bytesOut, rolledUp.bytesOut)
printComparison('publications', tokenByToken.publications, rolledUp.publications)
await measureMemory()
await measureCancel('the same instance', api)
await measureCancel('another instance', otherApi)

admin.disconnect()
await Promise.all([api.stop(), otherApi.stop()])
await redis.stop()
await database.stop()

/** Yields the tokens at `tokensPerSecond`. */
async function* pacedTokens(): AsyncGenerator<string, void> {
  const startedAt = performance.now()
  for (const [index, token] of tokens.entries()) {
    const waitMs = startedAt + (index * 1_000) / tokensPerSecond - performance.now()
    if (waitMs > 0) await delay(waitMs)
    yield token
  }
}

/** Runs `produce` for all answers at the same time, and resolves to what 1,000 tokens cost Redis. */
async function measureCost(produce: (task: Task) => Promise<void>): Promise<RedisCost> {
  const tasks = await Promise.all(Array.from({ length: answers }, () => newTask()))
  /** Stands for a gateway with a subscriber of each task. */
  const subscriber = new Redis(redis.url)
  await subscriber.subscribe(...tasks.map(channelOf))
  let publications = 0
  subscriber.on('messageBuffer', () => publications++)
  const before = await redisUsage()
  await Promise.all(tasks.map(produce))
  const after = await redisUsage()
  await Promise.all(tasks.map((task) => task.finish({ status: 'succeeded' })))
  subscriber.disconnect()
  const thousands = (answers * tokens.length) / 1_000
  return {
    cpuMicroseconds: ((after.cpuSeconds - before.cpuSeconds) * 1e6) / thousands,
    bytesIn: (after.bytesIn - before.bytesIn) / thousands,
    bytesOut: (after.bytesOut - before.bytesOut) / thousands,
    publications: publications / thousands,
  }
}

/** Prints the memory that a task with 100 KB of text takes in Redis while it runs and after its end, and how long it is kept. */
async function measureMemory(): Promise<void> {
  const task = await newTask()
  await task.pipe(paced100Kilobytes())
  const keys = await admin.keys(`*${task.taskId}*`)
  const memoryBytes = async () => {
    const used = await Promise.all(keys.map((key) => admin.memory('USAGE', key, 'SAMPLES', 0)))
    return used.reduce<number>((total, one) => total + (one ?? 0), 0)
  }
  const runningBytes = await memoryBytes()
  await task.finish({ status: 'succeeded' })
  const ttlSeconds = await Promise.all(keys.map((key) => admin.ttl(key)))
  console.log(
    `memory of a task with 100 KB of text in Redis: ${runningBytes} bytes while it runs, ${await memoryBytes()} bytes for ${Math.max(...ttlSeconds)} s after its end`,
  )
}

/** Yields at least 100 KB of text. */
async function* paced100Kilobytes(): AsyncGenerator<string, void> {
  let bytes = 0
  for await (const token of pacedTokens()) {
    // Larger tokens at the usual pace, so that the number of publications is that of a shorter answer.
    const text = token.repeat(tokenRepeats)
    bytes += Buffer.byteLength(text)
    yield text
    if (bytes > textBytesOfMemoryTask) return
  }
}

/** Prints the time from a member's cancel at `instance` to the end of the producer's stream, which goes to `api` and is silent. */
async function measureCancel(where: string, instance: ServiceProcess): Promise<void> {
  const durationsMs: number[] = []
  const headers = { cookie: `access_token=${memberToken(1)}`, origin: localOrigin, 'content-type': 'application/json' }
  while (durationsMs.length < cancels) {
    const task = await newTask()
    const streaming = task.pipe(silentAfterFirstToken()).catch(() => {})
    await waitFor(async () => (await readTextBytes(task)) > 0, { what: 'the first text of the stream' })
    const cancelledAt = performance.now()
    const cancelling = fetch(`${instance.url}/task/${task.taskId}/cancel`, { method: 'POST', headers })
    await streaming
    durationsMs.push(performance.now() - cancelledAt)
    await cancelling
  }
  console.log(
    `cancel of a silent stream at ${where}: ends it after ${median(durationsMs).toFixed(0)} ms (median of ${cancels}), ${Math.max(...durationsMs).toFixed(0)} ms (slowest)`,
  )
}

async function* silentAfterFirstToken(): AsyncGenerator<string, void> {
  yield 'thinking'
  await new Promise(() => {})
}

/** Resolves to the length of the task's text so far. */
async function readTextBytes({ taskId }: Task): Promise<number> {
  const response = await fetch(`${api.url}/task/${taskId}`, { headers: { authorization: `Bearer ${serviceToken()}` } })
  return ((await response.json()) as { textBytes: number }).textBytes
}

function newTask(): Promise<Task> {
  return createTask({ url: api.url, token: serviceToken(), memberId: 1, kind: 'chat', taskId: randomUUID() })
}

function channelOf({ taskId }: Task): string {
  return `member:1:task.${taskId}`
}

/** Resolves to what Redis has used since its start. */
async function redisUsage(): Promise<{ cpuSeconds: number; bytesIn: number; bytesOut: number }> {
  const info = `${await admin.info('stats')}${await admin.info('cpu')}`
  const read = (name: string) => Number(new RegExp(`${name}:([\\d.]+)`).exec(info)?.[1])
  return {
    cpuSeconds: read('used_cpu_user') + read('used_cpu_sys'),
    bytesIn: read('total_net_input_bytes'),
    bytesOut: read('total_net_output_bytes'),
  }
}

/** Prints one line: the figure of both ways, and their ratio. */
function printComparison(label: string, perToken: number, rolledUpFigure: number): void {
  const ratio = (rolledUpFigure / perToken).toFixed(2)
  console.log(
    `${label.padEnd(28)} one append per token ${perToken.toFixed(0).padStart(9)}   rolled up ${rolledUpFigure.toFixed(0).padStart(9)}   ratio ${ratio}`,
  )
}
