import { residentKib, untilIdle } from '../measure/usage.ts'
import type { MemberGroup } from '../load/member-load.ts'
import { differsFromFloor } from '../system/system.ts'
import { memberIds, type Scenario } from './scenario.ts'

const steps = (quick: boolean) => (quick ? [300, 600] : [1_000, 5_000, 15_000])

export const idleMemory: Scenario = {
  name: 'memory',
  title: () => 'Idle memory: sessions that are connected, subscribed and silent, in a fresh process',
  metrics: [
    { id: 'session', label: 'Resident memory per session', unit: 'KiB', lowerIsBetter: true, at: 'sessions' },
    { id: 'process', label: 'Resident memory of the process', unit: 'MiB', lowerIsBetter: true, at: 'sessions' },
  ],
  charts: [{ metric: 'process', kind: 'line' }],
  async run({ kinds, environment, load, quick, record }) {
    for (const kind of kinds.filter(differsFromFloor)) {
      const system = await kind.start(environment)
      const { pid } = system.gateway
      await untilIdle([pid])
      const before = residentKib(pid)
      const groups: MemberGroup[] = []
      let opened = 0
      for (const count of steps(quick)) {
        try {
          groups.push(await load.open(system.endpoint, memberIds(count).slice(opened), [['personal']]))
        } catch (error) {
          // Its figures end here.
          console.log(`${kind.name}: ${String(error)}`)
          break
        }
        opened = count
        await untilIdle([pid])
        record(kind.name, 'session', (residentKib(pid) - before) / count, count)
        record(kind.name, 'process', residentKib(pid) / 1_024, count)
      }
      for (const group of groups) await group.close()
      await system.stop()
    }
  },
}
