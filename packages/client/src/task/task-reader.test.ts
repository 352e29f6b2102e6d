import { expect, test } from 'vitest'
import type { TaskEvent } from './task.ts'
import { TaskReader } from './task-reader.ts'

const snapshot = (): TaskEvent => ({ type: 'snapshot', state: { taskId: 't', status: 'running', text: 'all', data: [] } })

test('merges adjacent appends and progress, and keeps the order of the rest', async () => {
  const reader = new TaskReader()
  const events: TaskEvent[] = [
    { type: 'append', text: 'a' },
    { type: 'append', text: 'b' },
    { type: 'progress', percent: 1, stage: 'search' },
    { type: 'progress', percent: 2 },
    { type: 'data', data: 7 },
    { type: 'append', text: 'c' },
  ]
  for (const event of events) reader.push(event, snapshot)
  reader.end()
  const read: (TaskEvent | undefined)[] = []
  for (let at = 0; at < 5; at += 1) read.push(await reader.next())
  expect(read).toEqual([
    { type: 'append', text: 'ab' },
    { type: 'progress', percent: 2, stage: 'search' },
    { type: 'data', data: 7 },
    { type: 'append', text: 'c' },
    undefined,
  ])
})

test('resolves a waiting read when an event is pushed', async () => {
  const reader = new TaskReader()
  const next = reader.next()
  reader.push({ type: 'append', text: 'a' }, snapshot)
  expect(await next).toEqual({ type: 'append', text: 'a' })
})

test('replaces too many waiting events by one snapshot, and keeps finished', async () => {
  const reader = new TaskReader()
  for (let at = 0; at <= 100; at += 1) reader.push({ type: 'data', data: at }, snapshot)
  reader.push({ type: 'finished', status: 'succeeded' }, snapshot)
  expect([await reader.next(), await reader.next()]).toEqual([snapshot(), { type: 'finished', status: 'succeeded' }])
})
