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

const tokens = generatedTokens(Number(process.env['BENCH_TOKENS'] ?? 1_500))
const tokensPerSecond = 150
/** Answers at the same time. */
const answers = Number(process.env['BENCH_ANSWERS'] ?? 4)
/** Cancels, one after the other. */
const cancels = Number(process.env['BENCH_CANCELS'] ?? 20)

interface Cost {
  readonly microseconds: number
  readonly bytesIn: number
  readonly bytesOut: number
  readonly publications: number
}

/**
 * What 1,000 tokens cost Redis, with a gateway listening: rolled up by an upload, against one publication for each token. Both in one
 * run, at the pace of a model. Then what a task of 100 KB holds in Redis, and how soon a silent producer hears of a cancel.
 */
const database = await startDatabase()
const redis = await startRedis()
const env = { MYSQL_URL: await createDatabase(database.url, 'bench_task'), REDIS_URL: redis.url }
const [api, other] = await Promise.all([startService('notify-api', env), startService('notify-api', env)])
const admin = new Redis(redis.url)

const rolledUp = await cost((task) => task.pipe(paced()))
const each = await cost(async (task) => {
  for await (const token of paced()) await task.append(token)
})
print('Redis CPU, us per 1,000 tokens', each.microseconds, rolledUp.microseconds)
print('bytes into Redis per 1,000 tokens', each.bytesIn, rolledUp.bytesIn)
print('bytes out of Redis per 1,000 tokens', each.bytesOut, rolledUp.bytesOut)
print('publications per 1,000 tokens', each.publications, rolledUp.publications)
await memory()
await cancelling('the same instance', api)
await cancelling('another instance', other)

admin.disconnect()
await Promise.all([api.stop(), other.stop()])
await redis.stop()
await database.stop()

async function* paced(): AsyncGenerator<string, void> {
  const begin = performance.now()
  for (const [index, token] of tokens.entries()) {
    const dueMs = begin + (index * 1_000) / tokensPerSecond - performance.now()
    if (dueMs > 0) await delay(dueMs)
    yield token
  }
}

async function cost(produce: (task: Task) => Promise<void>): Promise<Cost> {
  const made = await Promise.all(Array.from({ length: answers }, () => newTask()))
  const gateway = new Redis(redis.url)
  await gateway.subscribe(...made.map(channelOf))
  let publications = 0
  gateway.on('messageBuffer', () => publications++)
  const before = await usage()
  await Promise.all(made.map(produce))
  const after = await usage()
  await Promise.all(made.map((task) => task.finish({ status: 'succeeded' })))
  gateway.disconnect()
  const thousands = (answers * tokens.length) / 1_000
  return {
    microseconds: ((after.cpu - before.cpu) * 1e6) / thousands,
    bytesIn: (after.in - before.in) / thousands,
    bytesOut: (after.out - before.out) / thousands,
    publications: publications / thousands,
  }
}

async function memory(): Promise<void> {
  const task = await newTask()
  await task.pipe(paced100KB())
  const keys = await admin.keys(`*${task.taskId}*`)
  const bytes = async () => {
    const used = await Promise.all(keys.map((key) => admin.memory('USAGE', key, 'SAMPLES', 0)))
    return used.reduce<number>((total, one) => total + (one ?? 0), 0)
  }
  const running = await bytes()
  await task.finish({ status: 'succeeded' })
  const seconds = await Promise.all(keys.map((key) => admin.ttl(key)))
  console.log(
    `a task of 100 KB of text in Redis: running ${running} bytes, finished ${await bytes()} bytes, for ${Math.max(...seconds)} s`,
  )
}

async function* paced100KB(): AsyncGenerator<string, void> {
  let bytes = 0
  for await (const token of paced()) {
    // Ten times the size, at the same pace: a publication each 40 ms.
    const text = token.repeat(10)
    bytes += Buffer.byteLength(text)
    yield text
    if (bytes > 100_000) return
  }
}

/** From the member's request to the end of the producer's stream, which is silent. */
async function cancelling(where: string, instance: ServiceProcess): Promise<void> {
  const took: number[] = []
  const headers = { cookie: `access_token=${memberToken(1)}`, origin: localOrigin, 'content-type': 'application/json' }
  while (took.length < cancels) {
    const task = await newTask()
    const streaming = task.pipe(thinking()).catch(() => {})
    await waitFor(async () => (await textBytes(task)) > 0, { what: 'the stream' })
    const begin = performance.now()
    const cancelled = fetch(`${instance.url}/task/${task.taskId}/cancel`, { method: 'POST', headers })
    await streaming
    took.push(performance.now() - begin)
    await cancelled
  }
  took.sort((a, b) => a - b)
  const [median = 0, worst = 0] = [took[Math.floor(took.length / 2)], took.at(-1)]
  console.log(
    `a cancel at ${where.padEnd(17)} ends a silent stream in ms: median ${median.toFixed(0)}, worst of ${cancels} ${worst.toFixed(0)}`,
  )
}

async function* thinking(): AsyncGenerator<string, void> {
  yield 'thinking'
  await new Promise(() => {})
}

async function textBytes({ taskId }: Task): Promise<number> {
  const answer = await fetch(`${api.url}/task/${taskId}`, { headers: { authorization: `Bearer ${serviceToken()}` } })
  return ((await answer.json()) as { textBytes: number }).textBytes
}

function newTask(): Promise<Task> {
  return createTask({ url: api.url, token: serviceToken(), memberId: 1, kind: 'chat', taskId: randomUUID() })
}

function channelOf({ taskId }: Task): string {
  return `member:1:task.${taskId}`
}

async function usage(): Promise<{ cpu: number; in: number; out: number }> {
  const info = `${await admin.info('stats')}${await admin.info('cpu')}`
  const read = (name: string) => Number(new RegExp(`${name}:([\\d.]+)`).exec(info)?.[1])
  const cpu = read('used_cpu_user') + read('used_cpu_sys')
  return { cpu, in: read('total_net_input_bytes'), out: read('total_net_output_bytes') }
}

function print(what: string, token: number, rollUp: number): void {
  console.log(
    `${what.padEnd(38)} a token each ${token.toFixed(0).padStart(9)}   rolled up ${rollUp.toFixed(0).padStart(9)}   ratio ${(rollUp / token).toFixed(2)}`,
  )
}
