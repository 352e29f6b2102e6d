import { openLog } from '@tidings/chassis'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { BatchedDelete } from '../src/outbox/batched-delete.ts'

const log = openLog('test', 'fatal')

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

test('ids added during a deletion wait for the next batch, every time', async () => {
  const batches: (readonly number[])[] = []
  const published = new BatchedDelete(async (ids) => {
    batches.push(ids)
    if (batches.length < 3) published.add(10 * batches.length)
  }, log)
  published.add(1)
  published.add(2)
  await vi.advanceTimersToNextTimerAsync()
  expect(batches).toEqual([[1, 2]])
  await vi.advanceTimersToNextTimerAsync()
  expect(batches).toEqual([[1, 2], [10]])
  await vi.runAllTimersAsync()
  expect(batches).toEqual([[1, 2], [10], [20]])
})

test('a failed batch is retried together with newer ids, and close deletes the rest', async () => {
  const batches: (readonly number[])[] = []
  const published = new BatchedDelete(async (ids) => {
    batches.push(ids)
    if (batches.length === 1) throw new Error('the database is away')
  }, log)
  published.add(1)
  await vi.advanceTimersToNextTimerAsync()
  published.add(2)
  await vi.advanceTimersToNextTimerAsync()
  expect(batches).toEqual([[1], [1, 2]])
  expect([published.has(1), published.has(2)]).toEqual([false, false])
  published.add(3)
  await published.close()
  expect(batches.at(-1)).toEqual([3])
})

test('a full batch is deleted at once, unless the last one failed', async () => {
  const batches: (readonly number[])[] = []
  let away = false
  const published = new BatchedDelete(async (ids) => {
    batches.push(ids)
    if (away) throw new Error('the database is away')
  }, log)
  const add = (from: number, count: number) => {
    for (let id = from; id < from + count; id++) published.add(id)
  }
  add(1, 499)
  await vi.advanceTimersByTimeAsync(0)
  expect(batches).toEqual([])
  published.add(500)
  await vi.advanceTimersByTimeAsync(0)
  expect(batches.map(({ length }) => length)).toEqual([500])
  away = true
  add(501, 500)
  await vi.advanceTimersByTimeAsync(0)
  add(1_001, 500)
  await vi.advanceTimersByTimeAsync(0)
  expect(batches.map(({ length }) => length)).toEqual([500, 500])
  away = false
  await vi.runAllTimersAsync()
  expect(batches.map(({ length }) => length)).toEqual([500, 500, 500, 500])
  expect(vi.getTimerCount()).toBe(0)
})
