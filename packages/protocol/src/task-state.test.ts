import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { TaskMessage, TaskState } from './task-message.ts'
import { nextTaskState, TaskFold } from './task-state.ts'

const named = { taskId: '0f8c2a1e-5b7d-4e2f-9a3c-6d1b8e4f7a20', kind: 'chat' }
const data = fc.oneof(fc.integer(), fc.string(), fc.constant(null), fc.array(fc.boolean(), { maxLength: 2 }))
const message: fc.Arbitrary<TaskMessage> = fc.oneof(
  { weight: 4, arbitrary: fc.array(data, { maxLength: 3 }).map((values) => ({ type: 'data' as const, data: values })) },
  { weight: 4, arbitrary: fc.string().map((text) => ({ type: 'append' as const, text })) },
  fc.record({ type: fc.constant('progress' as const), percent: fc.nat(100), stage: fc.string() }, { requiredKeys: ['type'] }),
  fc.constant({ type: 'created' as const, ...named }),
  fc.record({
    type: fc.constant('snapshot' as const),
    taskId: fc.constant(named.taskId),
    kind: fc.constant(named.kind),
    status: fc.constant('running' as const),
    text: fc.string(),
    data: fc.array(data, { maxLength: 3 }),
  }),
  fc.record({ type: fc.constant('finished' as const), status: fc.constant('succeeded' as const), result: data }),
)

test('TaskFold is equal to nextTaskState after each of any messages, and modifies neither messages nor the first state', () => {
  const first: TaskState = { ...named, status: 'queued', text: '', data: [0] }
  fc.assert(
    fc.property(fc.array(message, { maxLength: 30 }), fc.option(fc.constant(first), { nil: undefined }), (messages, initial) => {
      const before = structuredClone({ messages, initial })
      const fold = new TaskFold(initial)
      let state = initial
      for (const each of messages) {
        state = nextTaskState(state, each)
        fold.add(each)
        expect(fold.state).toEqual(state)
      }
      expect({ messages, initial }).toEqual(before)
    }),
    { numRuns: 300 },
  )
})

/** Returns the shortest of five times in ms that folding so many `data` events takes. */
function foldMs(events: number): number {
  const times = Array.from({ length: 5 }, () => {
    const startedAt = performance.now()
    const fold = new TaskFold()
    fold.add({ type: 'created', ...named })
    for (let event = 0; event < events; event++) fold.add({ type: 'data', data: [event] })
    expect(fold.state?.data.length).toBe(events)
    return performance.now() - startedAt
  })
  return Math.min(...times)
}

test('the cost of TaskFold is linear in the number of data events', () => {
  foldMs(20_000) // compiles
  // Linear: 20 times; quadratic: 400 times.
  expect(foldMs(40_000) / foldMs(2_000)).toBeLessThan(100)
})
