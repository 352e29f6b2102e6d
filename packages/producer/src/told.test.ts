import { expect, test } from 'vitest'
import { Told } from './told.ts'

function told(): Told {
  const all = new Told()
  all.add({ type: 'progress', percent: 5, stage: 'search' })
  all.add({ type: 'progress' })
  all.add({ type: 'progress', percent: 40 })
  for (const data of [{ a: 1 }, 'b', { a: 1 }]) all.add({ type: 'data', data })
  return all
}

const stored = { status: 'running', textBytes: 0 }

test('what is there is not told again', () => {
  expect(told().missingIn({ ...stored, percent: 40, stage: 'search', data: [{ a: 1 }, 'b', { a: 1 }] })).toEqual([])
  // Of another producer, or an answer was lost.
  expect(told().missingIn({ ...stored, percent: 70, stage: 'write', data: [{ a: 1 }, 'b', 'b', 'c', { a: 1 }] })).toEqual([])
  expect(new Told().missingIn({ ...stored, percent: 40, data: ['b'] })).toEqual([])
})

test('what is missing is, each as often as it was told', () => {
  expect(told().missingIn({ ...stored, data: [] })).toEqual([
    { type: 'progress', percent: 40, stage: 'search' },
    { type: 'data', data: { a: 1 } },
    { type: 'data', data: 'b' },
    { type: 'data', data: { a: 1 } },
  ])
  expect(told().missingIn({ ...stored, percent: 50, data: [{ a: 1 }] })).toEqual([
    { type: 'progress', stage: 'search' },
    { type: 'data', data: 'b' },
    { type: 'data', data: { a: 1 } },
  ])
})
