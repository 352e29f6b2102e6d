import type { TaskMessage } from '@tidings/protocol'
import { expect, test } from 'vitest'
import type { HttpApi } from '../http-api.ts'
import { LiveTasks } from './live-tasks.ts'

function open() {
  const watched: string[] = []
  const api = { get: () => Promise.resolve({ ok: false, status: 401, error: { code: 'unauthorized', message: '' } }) }
  const feed = { watch: (taskId: string) => void watched.push(taskId), unwatch: () => {} }
  return { watched, tasks: new LiveTasks(feed, api as unknown as HttpApi, { reconnectBaseMs: 1, reconnectMaxMs: 1 }) }
}

const running = (taskId: string): TaskMessage => ({
  type: 'snapshot',
  taskId,
  kind: 'answer',
  status: 'running',
  text: '',
  data: [],
})
const idsOf = (count: number) => Array.from({ length: count }, (_, at) => `task-${at}`)

test('every handle that the page holds receives its messages, however many there are', () => {
  const { tasks } = open()
  const handles = idsOf(250).map(tasks.task)
  const unsubscribes = handles.map((handle) => handle.subscribe(() => {}))
  for (const { taskId } of handles) tasks.message(taskId, running(taskId))
  expect(new Set(handles.map((handle) => handle.getSnapshot().status))).toEqual(new Set(['running']))
  expect(idsOf(250).map(tasks.task)).toEqual(handles)
  for (const unsubscribe of unsubscribes) unsubscribe()
})

test('the same handle for the same id, as long as the page holds it', () => {
  const { tasks } = open()
  const handles = idsOf(250).map(tasks.task)
  for (const [at, id] of idsOf(250).entries()) expect(tasks.task(id)).toBe(handles[at])
})

test('a sign-in of another member discards the state of every handle', () => {
  const { tasks } = open()
  const handles = idsOf(150).map(tasks.task)
  for (const { taskId } of handles.slice(0, 150)) tasks.message(tasks.task(taskId).taskId, running(taskId))
  tasks.reset()
  expect(new Set(handles.map((handle) => handle.getSnapshot().status))).toEqual(new Set(['unknown']))
})

test('a task that has to wait says so until its snapshot arrives', () => {
  const { tasks } = open()
  const unsubscribe = tasks.task('late').subscribe(() => {})
  tasks.waits('late')
  expect(tasks.task('late').getSnapshot()).toMatchObject({ status: 'unknown', waiting: true })
  tasks.message('late', running('late'))
  expect(tasks.task('late').getSnapshot()).not.toHaveProperty('error')
  unsubscribe()
})

test('an iteration yields each value of a message with several, and the state has them all', async () => {
  const { tasks } = open()
  const task = tasks.task('a')
  tasks.message('a', running('a'))
  const events: unknown[] = []
  const reading = (async () => {
    for await (const event of task) events.push(event)
  })()
  await Promise.resolve()
  tasks.message('a', { type: 'data', data: [1, [2]] })
  tasks.message('a', { type: 'finished', status: 'succeeded' })
  await reading
  expect(events.slice(1, 3)).toEqual([
    { type: 'data', data: 1 },
    { type: 'data', data: [2] },
  ])
  expect(task.getSnapshot().data).toEqual([1, [2]])
})
