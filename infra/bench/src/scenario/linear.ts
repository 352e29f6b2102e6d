import { floor } from '../system/floor.ts'
import { tidings } from '../system/tidings.ts'
import type { System } from '../system/system.ts'
import type { MemberGroup } from '../load/member-load.ts'
import { measureDelivery } from './delivery.ts'
import { inRounds, memberIds, type Scenario } from './scenario.ts'

const sessionCounts = (quick: boolean) => (quick ? [100, 300] : [1_000, 15_000])
/** The same for all sizes. */
const deliveries = (quick: boolean) => (quick ? 6_000 : 150_000)
const deliveriesPerSecond = (quick: boolean) => (quick ? 6_000 : 30_000)

/** Not in the default run. */
export const linear: Scenario = {
  name: 'linear',
  title: (quick) => `Linearity: CPU per delivery of a fan-out to ${sessionCounts(quick).join(' and ')} sessions`,
  metrics: [{ id: 'cpu', label: 'CPU per delivery', unit: 'µs', lowerIsBetter: true, at: 'sessions' }],
  charts: [{ metric: 'cpu', kind: 'line' }],
  async run(context) {
    const { quick, load, environment } = context
    const groups = new Map<System, MemberGroup>()
    for (const kind of [tidings, floor]) {
      for (const sessions of sessionCounts(quick)) {
        const system = await kind.start(environment)
        groups.set(system, await load.open(system.endpoint, memberIds(sessions), [['all']]))
      }
    }
    const systems = [...groups.keys()]
    await inRounds(context, systems, async (system, record) => {
      const group = groups.get(system) as MemberGroup
      const sessions = group.size
      const delivery = { sessions, publications: deliveries(quick) / sessions, perSecond: deliveriesPerSecond(quick) / sessions }
      record('cpu', (await measureDelivery(system, group, delivery, 'all')).cpu, sessions)
    })
    for (const [system, group] of groups) {
      await group.close()
      await system.stop()
    }
  },
}
