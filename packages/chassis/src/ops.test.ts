import { EventEmitter, once } from 'node:events'
import { Registry } from '@prometheus-io/client'
import { expect, test } from 'vitest'
import { buildOps, type Readiness } from './ops.ts'

test('a readiness check that hangs does not cost the other metrics: tidings_ready is 0', async () => {
  const check = new EventEmitter()
  const hanging = once(check, 'end').then((): Readiness => ({ failing: [] }))
  const ops = buildOps(new Registry(), () => hanging)
  const { payload } = await ops.inject('/metrics')
  expect(payload).toMatch(/^tidings_ready 0$/m)
  expect(payload).toContain('process_cpu_seconds_total')
  check.emit('end')
  expect((await ops.inject('/metrics')).payload).toMatch(/^tidings_ready 1$/m)
  await ops.close()
})
