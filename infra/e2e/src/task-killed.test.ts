import { join } from 'node:path'
import { memberToken, serviceToken, spawnOwned, waitFor } from '@tidings/local'
import type { TaskPage } from '@tidings/protocol'
import { expect, onTestFinished, test } from 'vitest'
import { Device, openTaskStack } from './task.test.fixture.ts'

const example = join(import.meta.dirname, '../../../packages/producer/dist/example/main.js')

test('a killed producer ends as interrupted, once, though two instances look for it', { timeout: 120_000 }, async () => {
  // Longer than a producer that lives is ever kept from its turn.
  const leaseSeconds = 10
  const stack = await openTaskStack('task_killed', { TASK_LEASE_SECONDS: String(leaseSeconds) })
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
    { deadlineMs: 20_000, what: 'the task' },
  )
  const devices = stack.gateways.map(({ url }) => new Device(url, 9, taskId))
  onTestFinished(async () => void (await Promise.all(devices.map((device) => device.leaves()))))
  for (const device of devices) await device.sees(() => device.text.length > 200, 'some text')

  await producer.kill()
  const endMs = leaseSeconds * 1_000 + 5_000
  const ended = devices.map((device) => device.sees(() => device.state?.status === 'interrupted', 'the end in time', endMs))
  await Promise.all(ended)
  const stored = (await (await fetch(`${api.url}/task/${taskId}`, { headers })).json()) as { status: string; text: string }
  expect(stored.status).toBe('interrupted')
  for (const { text, ends } of devices) expect([text === stored.text, ends]).toEqual([true, 1])
})
