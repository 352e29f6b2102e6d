import { serviceToken } from '@tidings/local'
import { type PostResult, post } from '../load/post-load.ts'
import type { MemberGroup } from '../load/member-load.ts'
import { quantile } from '../measure/statistics.ts'
import { cpuSeconds, untilIdle } from '../measure/usage.ts'
import { differsFromFloor, type System } from '../system/system.ts'
import { type Context, inRounds, memberIds, type Scenario } from './scenario.ts'

const connectionCounts = [1, 16, 64, 256]
const normalRate = 200
const pacedConnections = 64
const members = (quick: boolean) => (quick ? 200 : 1_000)
const tokenSeconds = 86_400

/** CPU of one post, and the time until its browser has it. */
interface PostFigures extends PostResult {
  readonly cpuMicroseconds: number
  readonly redisMicroseconds: number
  readonly deliveryMs: readonly number[]
}

export const posts: Scenario = {
  name: 'post',
  title: (quick) =>
    `Posts: stored and delivered to ${members(quick).toLocaleString('en')} members, at ${normalRate}/s and as fast as 1 to 256 connections go`,
  metrics: [
    { id: 'paced-cpu', label: `CPU per post at ${normalRate}/s, services and database`, unit: 'µs', lowerIsBetter: true },
    { id: 'paced-redis', label: `CPU per post at ${normalRate}/s, Redis`, unit: 'µs', lowerIsBetter: true },
    { id: 'paced-p50', label: `POST to MESSAGE at ${normalRate}/s, median`, unit: 'ms', lowerIsBetter: true },
    { id: 'paced-p99', label: `POST to MESSAGE at ${normalRate}/s, 99th percentile`, unit: 'ms', lowerIsBetter: true },
    { id: 'cpu', label: 'CPU per post, services and database', unit: 'µs', lowerIsBetter: true, at: 'connections' },
    { id: 'redis', label: 'CPU per post, Redis', unit: 'µs', lowerIsBetter: true, at: 'connections' },
    { id: 'throughput', label: 'Posts per second', unit: '/s', lowerIsBetter: false, at: 'connections' },
    { id: 'response', label: 'POST to 201, median', unit: 'ms', lowerIsBetter: true, at: 'connections' },
  ],
  charts: [
    { metric: 'paced-cpu', kind: 'bars' },
    { metric: 'cpu', kind: 'line', logarithmic: true },
    { metric: 'throughput', kind: 'line', logarithmic: true },
  ],
  async run(context) {
    const systems = context.systems.filter(differsFromFloor)
    const groups = await openMembers(context, systems, members(context.quick))
    const seconds = context.quick ? 0.3 : 1
    const pacedSeconds = context.quick ? 1 : 3
    await inRounds(context, systems, async (system, record) => {
      const group = groups.get(system) as MemberGroup
      const steady = { connections: pacedConnections, rate: normalRate, seconds: pacedSeconds }
      const paced = await measurePosts(context, system, group, steady)
      record('paced-cpu', paced.cpuMicroseconds)
      record('paced-redis', paced.redisMicroseconds)
      record('paced-p50', quantile(paced.deliveryMs, 0.5))
      record('paced-p99', quantile(paced.deliveryMs, 0.99))
      for (const connections of connectionCounts) {
        const figures = await measurePosts(context, system, group, { connections, seconds })
        record('cpu', figures.cpuMicroseconds, connections)
        record('redis', figures.redisMicroseconds, connections)
        record('throughput', figures.responses / figures.seconds, connections)
        record('response', quantile(figures.latenciesMs, 0.5), connections)
      }
    })
    for (const group of groups.values()) await group.close()
  },
}

/** A system is saturated when it answers less than this share of the rate. */
const saturatedShare = 0.9
const rates = (quick: boolean) => (quick ? [100, 400] : [100, 200, 500, 1_000, 2_000, 4_000, 8_000])
const latencyConnections = 128

export const latency: Scenario = {
  name: 'latency',
  title: () => 'Latency: POST to MESSAGE at rising rates, up to the first of which a system answers less than 90 %',
  metrics: [
    { id: 'p50', label: 'POST to MESSAGE, median', unit: 'ms', lowerIsBetter: true, at: 'posts/s' },
    { id: 'p99', label: 'POST to MESSAGE, 99th percentile', unit: 'ms', lowerIsBetter: true, at: 'posts/s' },
    { id: 'saturation', label: 'Highest rate answered', unit: 'posts/s', lowerIsBetter: false },
  ],
  charts: [
    { metric: 'p50', kind: 'line', logarithmic: true },
    { metric: 'p99', kind: 'line', logarithmic: true },
  ],
  async run(context) {
    const systems = context.systems.filter(differsFromFloor)
    const groups = await openMembers(context, systems, members(context.quick))
    const seconds = context.quick ? 0.5 : 1.5
    await inRounds({ ...context, rounds: Math.min(context.rounds, 2) }, systems, async (system, record) => {
      let highest = 0
      for (const rate of rates(context.quick)) {
        const load = { connections: latencyConnections, seconds, rate }
        const figures = await measurePosts(context, system, groups.get(system) as MemberGroup, load)
        const answered = figures.responses / figures.seconds
        highest = Math.max(highest, answered)
        record('p50', quantile(figures.deliveryMs, 0.5), rate)
        record('p99', quantile(figures.deliveryMs, 0.99), rate)
        if (answered < saturatedShare * rate) break
      }
      record('saturation', highest)
    })
    for (const group of groups.values()) await group.close()
  },
}

async function openMembers(context: Context, systems: readonly System[], count: number): Promise<Map<System, MemberGroup>> {
  const groups = new Map<System, MemberGroup>()
  for (const system of systems) groups.set(system, await context.load.open(system.endpoint, memberIds(count), [['personal']]))
  return groups
}

async function measurePosts(
  { environment }: Context,
  { services, redis, postUrl }: System,
  group: MemberGroup,
  load: { connections: number; seconds: number; rate?: number },
): Promise<PostFigures> {
  const servers = [...services, environment.database.process].map(({ pid }) => pid)
  const used = () => [cpuSeconds(servers), cpuSeconds([redis.process.pid])] as const
  let before = used()
  const result = await post({
    url: postUrl,
    token: serviceToken({ expiresInSeconds: tokenSeconds }),
    memberCount: group.size,
    ...load,
    async beforePosts() {
      await untilIdle(servers)
      await group.reset()
      before = used()
    },
  })
  const { latenciesMs: deliveryMs } = await group.received(result.responses)
  const [serviceSeconds, redisSeconds] = used()
  return {
    ...result,
    deliveryMs,
    cpuMicroseconds: ((serviceSeconds - before[0]) / result.responses) * 1e6,
    redisMicroseconds: ((redisSeconds - before[1]) / result.responses) * 1e6,
  }
}
