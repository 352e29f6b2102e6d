import { setTimeout as delay } from 'node:timers/promises'
import { serviceToken } from '@tidings/local'
import { connectStockClient } from '../load/stock-client.ts'
import { Door } from '../load/door.ts'
import { differsFromFloor, type System } from '../system/system.ts'
import type { Scenario } from './scenario.ts'

const members = (quick: boolean) => (quick ? 2 : 5)
const dropsPerMember = (quick: boolean) => (quick ? 1 : 4)
const dropMs = 2_000
const betweenDropsMs = 4_000
const betweenPostsMs = 100
/** Time for the first connection, and at the end for what is still to come. */
const settleMs = 3_000
/** Apart from those of other scenarios. */
const firstMemberId = 900_000

export const tabs: Scenario = {
  name: 'tab',
  title: (quick) =>
    `Tabs that come back: ${members(quick) * dropsPerMember(quick)} drops of ${dropMs / 1_000} s with the usual client of each system, ${1_000 / betweenPostsMs} posts/s to each member`,
  metrics: [
    { id: 'lost', label: 'Messages lost', unit: '%', lowerIsBetter: true, mayBeZero: true },
    { id: 'sent', label: 'Messages sent', unit: '', lowerIsBetter: false },
    { id: 'repeated', label: 'Messages repeated', unit: '', lowerIsBetter: true, mayBeZero: true },
  ],
  charts: [{ metric: 'lost', kind: 'bars' }],
  // All systems at the same time: nothing here is a matter of speed.
  async run({ systems, quick, record }) {
    const compared = systems.filter(differsFromFloor)
    await Promise.all(
      compared.map(async (system) => {
        const ids = Array.from({ length: members(quick) }, (_, index) => firstMemberId + index)
        const counts = await Promise.all(ids.map((memberId) => dropMember(system, memberId, dropsPerMember(quick))))
        const total = (key: 'sent' | 'lost' | 'repeated') => counts.reduce((sum, each) => sum + each[key], 0)
        record(system.name, 'lost', (total('lost') / total('sent')) * 100)
        record(system.name, 'sent', total('sent'))
        record(system.name, 'repeated', total('repeated'))
      }),
    )
  },
}

/** Posts to a member all the while its connection drops, and counts what its client has not received. */
async function dropMember(
  { endpoint, postUrl }: System,
  memberId: number,
  drops: number,
): Promise<{ sent: number; lost: number; repeated: number }> {
  const door = new Door(endpoint.port)
  const received = new Map<string, number>()
  const close = connectStockClient({
    endpoint: { ...endpoint, port: await door.listen() },
    memberId,
    onMessage: (message) => received.set(message, (received.get(message) ?? 0) + 1),
  })
  await delay(settleMs)
  const sent: string[] = []
  const posting = { stopped: false }
  const poster = (async () => {
    for (let count = 0; !posting.stopped; count++) {
      await send(postUrl, memberId, String(count))
      sent.push(String(count))
      await delay(betweenPostsMs)
    }
  })()
  for (let count = 0; count < drops; count++) {
    await delay(betweenDropsMs * (0.5 + Math.random() / 2))
    await door.shutFor(dropMs)
  }
  await delay(betweenDropsMs)
  posting.stopped = true
  await poster
  await delay(settleMs)
  close()
  door.close()
  return {
    sent: sent.length,
    lost: sent.filter((message) => !received.has(message)).length,
    repeated: [...received.values()].filter((count) => count > 1).length,
  }
}

async function send(url: string, memberId: number, message: string): Promise<void> {
  const response = await fetch(`${url}/notification/send`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${serviceToken()}` },
    body: JSON.stringify({ memberId, message, redirectPath: '/' }),
  })
  if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`)
  await response.arrayBuffer()
}
