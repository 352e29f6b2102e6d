import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { serviceToken } from '@tidings/local'
import { createTask } from '@tidings/producer'
import { post } from '../load/post-load.ts'
import { notificationBody } from '../load/publication.ts'
import { slope } from '../measure/statistics.ts'
import { descriptorCount, residentKib } from '../measure/usage.ts'
import { tidings } from '../system/tidings.ts'
import type { System } from '../system/system.ts'
import type { Context, Scenario } from './scenario.ts'
import { memberIds } from './scenario.ts'

/** Sessions that stay; others come and go beside them. */
const stayingSessions = 1_000
const passingSessions = 200
const passingMs = 3_000
const postsPerSecond = 100
const postConnections = 16
const broadcastMs = 250
const taskMs = 500
const appendsPerTask = 20
const betweenSamplesMs = 5_000
/** Share of the run that does not count for the growth: caches and heaps fill. */
const warmUpShare = 0.25
const secondsPerMinute = 60
const tokenSeconds = 86_400

/** What one process uses at one moment. */
interface Sample {
  readonly deliveries: number
  readonly residentKib: number
  readonly descriptors: number
}

/** Hours of everything at once: connects, drops, posts, broadcasts and tasks. Not in the default run. */
export function soak(minutes: number): Scenario {
  return {
    name: 'soak',
    title: () =>
      `Soak: ${minutes} minutes of ${postsPerSecond} posts/s, ${1_000 / broadcastMs} broadcasts/s, tasks, and ${passingSessions} of ${stayingSessions + passingSessions} sessions that come and go every ${passingMs / 1_000} s`,
    metrics: processes.flatMap((name) => [
      { id: `${name}-rss`, label: `${name}, resident memory`, unit: 'MiB', lowerIsBetter: true, at: 'minutes' },
      { id: `${name}-fd`, label: `${name}, descriptors`, unit: '', lowerIsBetter: true, at: 'minutes' },
      {
        id: `${name}-growth`,
        label: `${name}, growth per million deliveries`,
        unit: 'MiB',
        lowerIsBetter: true,
        mayBeZero: true,
      },
    ]),
    charts: processes.map((name) => ({ metric: `${name}-rss`, kind: 'line' }) as const),
    run: (context) => soakFor(context, minutes),
  }
}

const processes = ['gateway', 'notify-api', 'Redis', 'database'] as const

async function soakFor({ environment, load, record }: Context, minutes: number): Promise<void> {
  const system = await tidings.start(environment)
  const [gateway, api] = system.services
  const pids = [gateway, api, system.redis.process, environment.database.process].map((each) => each?.pid ?? 0)
  const staying = await load.open(system.endpoint, memberIds(stayingSessions), [['all', 'personal']])
  const samples = processes.map((): Sample[] => [])
  const startedAt = performance.now()
  const elapsedMinutes = () => (performance.now() - startedAt) / 1_000 / secondsPerMinute
  const running = () => elapsedMinutes() < minutes
  let deliveries = 0

  const passing = async () => {
    while (running()) {
      const ids = memberIds(passingSessions).map((id) => stayingSessions + id)
      const group = await load.open(system.endpoint, ids, [['all', 'personal']])
      await delay(passingMs)
      deliveries += (await group.received(0)).messages
      await group.close()
    }
  }
  const broadcasting = async () => {
    for (let count = 1; running(); count++) {
      await system.publish('all', notificationBody(1, count))
      await delay(broadcastMs)
    }
  }
  const posting = () =>
    post({
      url: system.postUrl,
      token: serviceToken({ expiresInSeconds: tokenSeconds }),
      connections: postConnections,
      seconds: minutes * secondsPerMinute,
      memberCount: stayingSessions + passingSessions,
      rate: postsPerSecond,
    })
  const sampling = async () => {
    while (running()) {
      await delay(betweenSamplesMs)
      deliveries += (await staying.received(0)).messages
      await staying.reset()
      for (const [index, pid] of pids.entries()) {
        const sample = { deliveries, residentKib: residentKib(pid), descriptors: descriptorCount(pid) }
        samples[index]?.push(sample)
        record('Tidings', `${processes[index]}-rss`, sample.residentKib / 1_024, elapsedMinutes())
        record('Tidings', `${processes[index]}-fd`, sample.descriptors, elapsedMinutes())
      }
    }
  }
  await Promise.all([passing(), broadcasting(), posting(), sampling(), runTasks(system, running)])
  for (const [index, of] of samples.entries()) {
    const counted = of.slice(Math.floor(of.length * warmUpShare))
    const perDelivery = slope(counted.map((sample) => [sample.deliveries, sample.residentKib]))
    record('Tidings', `${processes[index]}-growth`, (perDelivery * 1e6) / 1_024)
  }
  await staying.close()
  await system.stop()
}

async function runTasks({ postUrl }: System, running: () => boolean): Promise<void> {
  const token = serviceToken({ expiresInSeconds: tokenSeconds })
  for (let count = 0; running(); count++) {
    const memberId = 1 + (count % stayingSessions)
    const task = await createTask({ url: postUrl, token, memberId, kind: 'chat', taskId: randomUUID() })
    for (let append = 0; append < appendsPerTask; append++) await task.append('answer ')
    await task.finish({ status: 'succeeded' })
    await delay(taskMs)
  }
}
