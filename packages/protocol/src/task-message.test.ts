import { expect, test } from 'vitest'
import { TaskId, TaskProducerEvent } from './task-message.ts'
import { nextTaskState } from './task-state.ts'

const named = { taskId: '0f8c2a1e-5b7d-4e2f-9a3c-6d1b8e4f7a20', kind: 'chat' }

test('events change the state of a task from created to finished, and do not modify the previous state', () => {
  const created = nextTaskState(undefined, { type: 'created', ...named })
  const reading = nextTaskState(created, { type: 'progress', stage: 'reading', percent: 5 })
  const first = nextTaskState(reading, { type: 'append', text: '가' })
  const second = nextTaskState(nextTaskState(first, { type: 'append', text: '나' }), { type: 'data', data: [1, [2]] })
  const ended = nextTaskState(second, { type: 'finished', status: 'failed', error: 'no model' })
  expect(created).toEqual({ ...named, status: 'queued', text: '', data: [] })
  expect(first).toEqual({ ...named, status: 'running', stage: 'reading', percent: 5, text: '가', data: [] })
  expect(ended).toEqual({ ...second, status: 'failed', error: 'no model' })
  expect(second).toMatchObject({ text: '가나', data: [1, [2]] })
})

test('a snapshot or created replaces the state, and an event before either of them is ignored', () => {
  const state = { ...named, status: 'running' as const, text: 'abc', data: [] }
  expect(nextTaskState(undefined, { type: 'append', text: 'a' })).toBeUndefined()
  expect(nextTaskState(undefined, { type: 'snapshot', ...state })).toEqual(state)
  expect(nextTaskState(state, { type: 'created', ...named })).toMatchObject({ text: '', status: 'queued' })
})

test.each([
  [{ type: 'append', text: '👋' }, true],
  [{ type: 'append', text: '👋'.slice(0, 1) }, false],
  [{ type: 'append', text: '👋'.slice(1) }, false],
  [{ type: 'data', data: null }, true],
  [{ type: 'data' }, false],
  [{ type: 'progress' }, true],
])('%j is a valid event: %s', (event, valid) => {
  expect(TaskProducerEvent.safeParse(event).success).toBe(valid)
})

test('a task id is a UUID in lower case', () => {
  expect(TaskId.safeParse(named.taskId).success).toBe(true)
  expect(TaskId.safeParse(named.taskId.toUpperCase()).success).toBe(false)
})
