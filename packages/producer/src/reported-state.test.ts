import { expect, test } from 'vitest'
import { ReportedState } from './reported-state.ts'

function reported(): ReportedState {
  const state = new ReportedState()
  state.add({ type: 'progress', percent: 5, stage: 'search' })
  state.add({ type: 'progress' })
  state.add({ type: 'progress', percent: 40 })
  for (const data of [{ a: 1 }, 'b', { a: 1 }]) state.add({ type: 'data', data })
  return state
}

const stored = { status: 'running', textBytes: 0 }

test('returns nothing when the task has all that was reported', () => {
  expect(reported().missingFrom({ ...stored, percent: 40, stage: 'search', data: [{ a: 1 }, 'b', { a: 1 }] })).toEqual([])
  // Reported by another producer, or sent twice because a response was lost.
  expect(reported().missingFrom({ ...stored, percent: 70, stage: 'write', data: [{ a: 1 }, 'b', 'b', 'c', { a: 1 }] })).toEqual(
    [],
  )
  expect(new ReportedState().missingFrom({ ...stored, percent: 40, data: ['b'] })).toEqual([])
})

test('returns what is missing, equal data as often as it was reported', () => {
  expect(reported().missingFrom({ ...stored, data: [] })).toEqual([
    { type: 'progress', percent: 40, stage: 'search' },
    { type: 'data', data: { a: 1 } },
    { type: 'data', data: 'b' },
    { type: 'data', data: { a: 1 } },
  ])
  expect(reported().missingFrom({ ...stored, percent: 50, data: [{ a: 1 }] })).toEqual([
    { type: 'progress', stage: 'search' },
    { type: 'data', data: 'b' },
    { type: 'data', data: { a: 1 } },
  ])
})
