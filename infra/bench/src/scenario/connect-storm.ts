import { cpuSeconds, untilIdle } from '../measure/usage.ts'
import { differsFromFloor } from '../system/system.ts'
import { inRounds, memberIds, type Scenario } from './scenario.ts'

const sessions = (quick: boolean) => (quick ? 300 : 5_000)

export const connectStorm: Scenario = {
  name: 'connect',
  title: (quick) =>
    `Connect storm: ${sessions(quick).toLocaleString('en')} members connect and subscribe, as fast as the server lets them`,
  metrics: [
    { id: 'cpu', label: 'CPU per session', unit: 'µs', lowerIsBetter: true },
    { id: 'redis', label: 'CPU of Redis per session', unit: 'µs', lowerIsBetter: true, mayBeZero: true },
    { id: 'seconds', label: 'Time until all are subscribed', unit: 's', lowerIsBetter: true },
  ],
  charts: [{ metric: 'cpu', kind: 'bars' }],
  async run(context) {
    const count = sessions(context.quick)
    const systems = context.systems.filter(differsFromFloor)
    await inRounds(context, systems, async ({ endpoint, gateway, redis }, record) => {
      await untilIdle([gateway.pid])
      const before = cpuSeconds([gateway.pid])
      const redisBefore = cpuSeconds([redis.process.pid])
      const startedAt = performance.now()
      const group = await context.load.open(endpoint, memberIds(count), [['personal']])
      record('seconds', (performance.now() - startedAt) / 1_000)
      await untilIdle([gateway.pid])
      record('cpu', ((cpuSeconds([gateway.pid]) - before) / count) * 1e6)
      record('redis', ((cpuSeconds([redis.process.pid]) - redisBefore) / count) * 1e6)
      await group.close()
      await untilIdle([gateway.pid])
    })
  },
}
