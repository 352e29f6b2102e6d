import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Position } from '@tidings/protocol'
import { expect, test } from 'vitest'
import { TaskSnapshots } from '../src/backend/task-snapshot.ts'
import type { History, HistoryPage } from '../src/redis/broker.ts'

const created = { type: 'created', taskId: '0f8c2a1e-5b7d-4e2f-9a3c-6d1b8e4f7a20', kind: 'export' }

/** The history of one task: `created`, then `data` events. A read takes as long as `wait`; by default one turn of the event loop. */
class TaskHistory implements History {
  reads = 0
  length: number
  readonly #wait: () => Promise<void>

  constructor(length: number, wait: () => Promise<void> = nextTurn) {
    this.length = length
    this.#wait = wait
  }

  async after(_channel: string, { offset }: Position, limit: number): Promise<HistoryPage> {
    this.reads++
    await this.#wait()
    const end = Math.min(this.length, offset + limit)
    const publications = Array.from({ length: Math.max(0, end - offset) }, (_, index) => ({
      position: { epoch: 1, offset: offset + index + 1 },
      body: Buffer.from(JSON.stringify(offset + index === 0 ? created : { type: 'data', data: [offset + index] })),
    }))
    return { publications, whole: true, last: { epoch: 1, offset: this.length } }
  }
}

test('clients that join a task at the same time share one fold of its history', async () => {
  const history = new TaskHistory(2_000)
  const snapshots = new TaskSnapshots(history)
  const alone = await snapshots.of('member:1:task.a')
  const readsAlone = history.reads
  const together = await Promise.all(Array.from({ length: 50 }, () => snapshots.of('member:1:task.a')))
  expect(history.reads).toBe(2 * readsAlone)
  for (const each of together) expect(each).toEqual(alone)
  expect(JSON.parse(String(alone?.body))).toMatchObject({ type: 'snapshot', status: 'running' })
  // Another task, and a later client, have a fold of their own.
  await Promise.all([snapshots.of('member:1:task.b'), snapshots.of('member:1:task.a')])
  expect(history.reads).toBe(4 * readsAlone)
})

test('a client that joins while a fold finds no history reads it once more', async () => {
  const history = new TaskHistory(0)
  const snapshots = new TaskSnapshots(history)
  const early = snapshots.of('member:1:task.a')
  await Promise.resolve()
  const late = snapshots.of('member:1:task.a')
  history.length = 2
  const [, snapshot] = await Promise.all([early, late])
  expect(snapshot?.position).toEqual({ epoch: 1, offset: 2 })
})

test('other work has its turn between the pages of a long history', async () => {
  const history = new TaskHistory(10_000, () => Promise.resolve())
  let turns = 0
  const count = () => {
    turns++
    counting = setImmediate(count)
  }
  let counting = setImmediate(count)
  await new TaskSnapshots(history).of('member:1:task.a')
  clearImmediate(counting)
  expect(turns).toBeGreaterThanOrEqual(history.reads - 1)
  expect(history.reads).toBeGreaterThanOrEqual(20)
})
