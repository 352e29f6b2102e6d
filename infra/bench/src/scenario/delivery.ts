import { cpuSeconds, untilIdle } from '../measure/usage.ts'
import { quantile } from '../measure/statistics.ts'
import { notificationBody } from '../load/publication.ts'
import type { MemberGroup } from '../load/member-load.ts'
import type { Destination } from '../load/wire.ts'
import type { System } from '../system/system.ts'
import { type Context, inRounds, memberIds, type Metric, paced, type Scenario } from './scenario.ts'

/** One load of publications that enter past the API. */
interface DeliveryLoad {
  readonly sessions: number
  readonly publications: number
  readonly perSecond: number
}

const metrics: readonly Metric[] = [
  { id: 'cpu', label: 'CPU per delivery', unit: 'µs', lowerIsBetter: true },
  { id: 'p50', label: 'Latency, median', unit: 'ms', lowerIsBetter: true },
  { id: 'p99', label: 'Latency, 99th percentile', unit: 'ms', lowerIsBetter: true },
  { id: 'lost', label: 'Messages lost', unit: '', lowerIsBetter: true, mayBeZero: true },
]
const fanOutLoad = (quick: boolean): DeliveryLoad =>
  quick ? { sessions: 300, publications: 20, perSecond: 20 } : { sessions: 3_000, publications: 40, perSecond: 20 }
const personalLoad = (quick: boolean): DeliveryLoad =>
  quick ? { sessions: 300, publications: 200, perSecond: 400 } : { sessions: 3_000, publications: 1_500, perSecond: 500 }

export const fanOut: Scenario = {
  name: 'fan-out',
  title: (quick) => {
    const { sessions, perSecond } = fanOutLoad(quick)
    return `Fan-out: ${perSecond} publications/s to ${sessions.toLocaleString('en')} sessions`
  },
  metrics,
  charts: [{ metric: 'cpu', kind: 'bars' }],
  run: (context) => deliver(context, fanOutLoad(context.quick), 'all'),
}

export const personal: Scenario = {
  name: 'personal',
  title: (quick) => {
    const { sessions, perSecond } = personalLoad(quick)
    return `Personal: ${perSecond} messages/s, each to one of ${sessions.toLocaleString('en')} members`
  },
  metrics,
  charts: [{ metric: 'cpu', kind: 'bars' }],
  run: (context) => deliver(context, personalLoad(context.quick), 'personal'),
}

async function deliver(context: Context, load: DeliveryLoad, destination: Destination): Promise<void> {
  const groups = new Map<System, MemberGroup>()
  for (const system of context.systems) {
    groups.set(system, await context.load.open(system.endpoint, memberIds(load.sessions), [[destination]]))
  }
  await inRounds(context, context.systems, async (system, record) => {
    const figures = await measureDelivery(system, groups.get(system) as MemberGroup, load, destination)
    for (const [metric, value] of Object.entries(figures)) record(metric, value)
  })
  for (const group of groups.values()) await group.close()
}

/** Publishes the load and resolves to the figures of {@link metrics}. */
export async function measureDelivery(
  { gateway, publish }: System,
  group: MemberGroup,
  { sessions, publications, perSecond }: DeliveryLoad,
  destination: Destination,
): Promise<{ cpu: number; p50: number; p99: number; lost: number }> {
  await untilIdle([gateway.pid])
  await group.reset()
  const toAll = destination === 'all'
  const expected = publications * (toAll ? sessions : 1)
  const before = cpuSeconds([gateway.pid])
  await paced(publications, perSecond, (index) => {
    const memberId = toAll ? 1 : 1 + ((index * memberStride) % sessions)
    return publish(toAll ? 'all' : memberId, notificationBody(memberId, index + 1))
  })
  const { messages, latenciesMs } = await group.received(expected)
  const cpu = cpuSeconds([gateway.pid]) - before
  return {
    cpu: (cpu / messages) * 1e6,
    p50: quantile(latenciesMs, 0.5),
    p99: quantile(latenciesMs, 0.99),
    lost: expected - messages,
  }
}

/** Steps from member to member. A prime reaches all of them. */
const memberStride = 7_919
