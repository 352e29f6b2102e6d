import { expect, test } from 'vitest'
import { MessageReader } from './message-reader.ts'

test('replaces the events of a slow reader by a gap beyond 1,000, and goes on after it', async () => {
  const reader = new MessageReader()
  for (let body = 0; body <= 1_001; body += 1) reader.push({ type: 'message', body })
  expect(await reader.next()).toEqual({ type: 'gap', spreadMs: 0 })
  expect(await reader.next()).toEqual({ type: 'message', body: 1_000 })
  expect(await reader.next()).toEqual({ type: 'message', body: 1_001 })
})

test('resolves what is unread before the end', async () => {
  const reader = new MessageReader()
  const first = reader.next()
  reader.push({ type: 'message', body: 'a' })
  reader.push({ type: 'message', body: 'b' })
  reader.end()
  expect([await first, await reader.next(), await reader.next()]).toEqual([
    { type: 'message', body: 'a' },
    { type: 'message', body: 'b' },
    undefined,
  ])
})
