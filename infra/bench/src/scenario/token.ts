import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { serviceToken } from '@tidings/local'
import { createTask, type Task } from '@tidings/producer'
import { timedPath } from '../load/publication.ts'
import { quantile } from '../measure/statistics.ts'
import { cpuSeconds, untilIdle } from '../measure/usage.ts'
import type { Destination } from '../load/wire.ts'
import type { System, SystemName } from '../system/system.ts'
import { type Context, inRounds, memberIds, paced, type Scenario } from './scenario.ts'

const answers = (quick: boolean) => (quick ? 10 : 200)
/** One request for each token is no match for 200 answers. */
const appendedAnswers = (quick: boolean) => (quick ? 5 : 20)
const seconds = (quick: boolean) => (quick ? 1 : 2)
const tokensPerSecond = 100
/** Every so many tokens one contains the time, from which its latency is known. */
const tokensPerTime = 10
const tokenSeconds = 86_400
const deliveryDeadlineMs = 30_000
/** Others publish over HTTP or saturate at this rate. */
const compared: ReadonlySet<SystemName> = new Set<SystemName>(['Tidings', 'floor', 'Socket.IO'])

export const tokens: Scenario = {
  name: 'token',
  title: (quick) => `Tokens: ${answers(quick)} answers of a model at ${tokensPerSecond} tokens/s, each followed by one browser`,
  metrics: [
    { id: 'cpu', label: 'CPU per 1,000 tokens, services, database and Redis', unit: 'ms', lowerIsBetter: true },
    { id: 'redis', label: 'CPU per 1,000 tokens, Redis', unit: 'ms', lowerIsBetter: true },
    { id: 'redis-append', label: 'CPU of Redis per append, one token each', unit: 'µs', lowerIsBetter: true },
    { id: 'p50', label: 'Token to browser, median', unit: 'ms', lowerIsBetter: true },
    { id: 'p99', label: 'Token to browser, 99th percentile', unit: 'ms', lowerIsBetter: true },
  ],
  charts: [{ metric: 'cpu', kind: 'bars' }],
  async run(context) {
    const systems = context.systems.filter(({ name }) => compared.has(name))
    await inRounds({ ...context, rounds: Math.min(context.rounds, 3) }, systems, async (system, record) => {
      const { cpu, redis, latenciesMs } = await measureTokens(context, system, answers(context.quick), (task, source) =>
        task.pipe(source),
      )
      record('cpu', cpu)
      record('redis', redis)
      record('p50', quantile(latenciesMs, 0.5))
      record('p99', quantile(latenciesMs, 0.99))
      if (system.name !== 'Tidings') return
      const appended = await measureTokens(context, system, appendedAnswers(context.quick), async (task, source) => {
        for await (const token of source) await task.append(token)
      })
      record('redis-append', appended.redis)
    })
  },
}

/** CPU in microseconds per token, which are milliseconds per 1,000 tokens. */
interface TokenFigures {
  readonly cpu: number
  readonly redis: number
  readonly latenciesMs: readonly number[]
}

/** Streams `count` answers. `produce` is how a task takes its tokens; the other systems have no tasks. */
async function measureTokens(
  { load, quick, environment }: Context,
  system: System,
  count: number,
  produce: (task: Task, source: AsyncIterable<string>) => Promise<void>,
): Promise<TokenFigures> {
  const perAnswer = seconds(quick) * tokensPerSecond
  const servers = [...system.services, environment.database.process, system.redis.process].map(({ pid }) => pid)
  const used = () => [cpuSeconds(servers), cpuSeconds([system.redis.process.pid])] as const
  const tasks = system.name === 'Tidings' ? await createTasks(system.postUrl, count) : undefined
  const destinations: Destination[][] = memberIds(count).map((id) => [tasks ? `task.${tasks[id - 1]?.taskId}` : 'personal'])
  const group = await load.open(system.endpoint, memberIds(count), destinations)
  await untilIdle(servers)
  await group.reset()
  const before = used()
  if (tasks) await Promise.all(tasks.map((task, answer) => produce(task, pacedTokens(answer / count, perAnswer))))
  else await publishTokens(system, count, perAnswer)
  const { latenciesMs } = await group.received((count * perAnswer) / tokensPerTime, deliveryDeadlineMs)
  const [cpu, redis] = used()
  await Promise.all((tasks ?? []).map((task) => task.finish({ status: 'succeeded' })))
  await group.close()
  const perToken = (secondsUsed: number) => (secondsUsed * 1e6) / (count * perAnswer)
  return { cpu: perToken(cpu - before[0]), redis: perToken(redis - before[1]), latenciesMs }
}

function createTasks(url: string, count: number): Promise<Task[]> {
  const token = serviceToken({ expiresInSeconds: tokenSeconds })
  return Promise.all(memberIds(count).map((memberId) => createTask({ url, token, memberId, kind: 'chat', taskId: randomUUID() })))
}

/** Yields the tokens of one answer. `phase` is the share of a token's time by which they are later. */
async function* pacedTokens(phase: number, count: number): AsyncGenerator<string, void> {
  const startedAt = performance.now()
  for (let index = 0; index < count; index++) {
    const waitMs = startedAt + ((index + phase) * 1_000) / tokensPerSecond - performance.now()
    if (waitMs > 0) await delay(waitMs)
    yield tokenOf(index)
  }
}

/** One message for each token, as most backends do. */
function publishTokens({ publish }: System, count: number, perAnswer: number): Promise<void> {
  return paced(count * perAnswer, count * tokensPerSecond, (index) => {
    const memberId = 1 + (index % count)
    return publish(memberId, JSON.stringify({ memberId, message: tokenOf(Math.floor(index / count)), notificationId: index }))
  })
}

function tokenOf(index: number): string {
  return index % tokensPerTime === 0 ? `${timedPath()} ` : 'answer '
}
