import { join } from 'node:path'
import { memberToken, serviceToken, spawnOwned, waitFor } from '@tidings/local'
import type { TaskPage } from '@tidings/protocol'
import { expect, onTestFinished, test } from 'vitest'
import { startTaskStack, TaskClient } from './fixture/task-stack.ts'

const example = join(import.meta.dirname, '../../../packages/producer/dist/example/main.js')

test('ends the task of a killed producer as interrupted, once, although two instances look for expired leases', {
  timeout: 120_000,
}, async () => {
  // Longer than a busy machine ever delays a running producer.
  const leaseSeconds = 10
  const stack = await startTaskStack('task_killed', { TASK_LEASE_SECONDS: String(leaseSeconds) })
  onTestFinished(() => stack.close())
  const [api] = stack.apis
  const producer = spawnOwned({
    name: 'producer',
    command: process.execPath,
    args: [example, '9', '5000'],
    env: { PATH: process.env['PATH'], TIDINGS_URL: api.url, TIDINGS_TOKEN: serviceToken({ scopes: ['task:write'] }) },
  })
  onTestFinished(async () => void (await producer.kill()))
  const headers = { cookie: `access_token=${memberToken(9)}` }
  const taskId = await waitFor(
    async () => ((await (await fetch(`${api.url}/task`, { headers })).json()) as TaskPage).items[0]?.taskId,
    { deadlineMs: 20_000, what: 'the task to be created' },
  )
  const devices = stack.gateways.map(({ url }) => new TaskClient(url, 9, taskId))
  onTestFinished(async () => void (await Promise.all(devices.map((device) => device.disconnect()))))
  for (const device of devices) await device.waitUntil(() => device.text.length > 200, 'some text')

  await producer.kill()
  // The sweep that ends expired leases may be 5 s late.
  const endDeadlineMs = leaseSeconds * 1_000 + 5_000
  const ended = devices.map((device) =>
    device.waitUntil(() => device.state?.status === 'interrupted', 'the status interrupted', endDeadlineMs),
  )
  await Promise.all(ended)
  const stored = (await (await fetch(`${api.url}/task/${taskId}`, { headers })).json()) as { status: string; text: string }
  expect(stored.status).toBe('interrupted')
  for (const { text, finishes } of devices) expect([text === stored.text, finishes]).toEqual([true, 1])
})
