import { openLog } from '@tidings/chassis'
import { waitFor } from '@tidings/local'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Database } from '../src/database/database.ts'
import type { Delivered, Escalated } from '../src/reach/deliverer.ts'
import { Reach } from '../src/reach/reach.ts'
import { EscalationStore } from '../src/reach/store.ts'
import { openStack, type Stack } from './fixture/notify-api.ts'

let stack: Stack
let database: Database
beforeAll(async () => {
  stack = await openStack('reach')
  await stack.start()
  database = new Database(stack.databaseUrl, { connections: 4, timeoutMs: 15_000 })
})
afterAll(async () => {
  await database.close()
  await stack.close()
})

function open(deliver: (item: Escalated) => Promise<Delivered>) {
  const outcomes: string[] = []
  const reach = new Reach({
    store: new EscalationStore(database),
    deliverers: { push: { maxInFlight: 10, deliver, close: async () => {} } },
    log: openLog('test', 'warn'),
    onOutcome: (way, outcome) => outcomes.push(`${way} ${outcome}`),
    onBacklog: () => {},
  })
  return { reach, outcomes }
}

test('what is due is delivered once, and what was received meanwhile is not', async () => {
  await stack.fill(7, 100)
  await stack.rows(
    `INSERT INTO escalation (notification_id, way, member_id, urgency, due_at)
     SELECT notification_id, 'push', member_id, 'low', NOW(3) FROM notification`,
  )
  await stack.rows('UPDATE notification SET received = 1 ORDER BY notification_id LIMIT 10')
  const delivered: Escalated[] = []
  const { reach } = open(async (item) => {
    delivered.push(item)
    return { outcome: 'sent' }
  })
  await waitFor(() => delivered.length === 90, { what: 'the deliveries' })
  await reach.close()
  expect(new Set(delivered.map(({ notificationId }) => notificationId)).size).toBe(90)
  expect(delivered[0]).toMatchObject({ memberId: 7, message: 'hello', urgency: 'low', attempts: 1 })
  const states = await stack.rows<{ state: string }>('SELECT state FROM escalation')
  expect(states.map(({ state }) => state)).toEqual(Array.from({ length: 90 }, () => 'sent'))
})
