import { expect, test } from 'vitest'
import { Inbox } from './inbox.ts'
import { waitFor } from './wait-for.ts'

test('items pushed before and after they are requested arrive in order', async () => {
  const inbox = new Inbox<number>()
  inbox.push(1)
  const [first, second, third] = [inbox.next(1_000, 'number'), inbox.next(1_000, 'number'), inbox.next(1_000, 'number')]
  inbox.push(2)
  inbox.push(3)
  inbox.push(4)
  expect(await Promise.all([first, second, third])).toEqual([1, 2, 3])
  expect(inbox.waiting).toBe(1)
})

test('a reader whose deadline has passed does not take a later item', async () => {
  const inbox = new Inbox<number>()
  await expect(inbox.next(10, 'number')).rejects.toThrow('no number within 10 ms')
  inbox.push(1)
  expect(await inbox.next(1_000, 'number')).toBe(1)
})

test('after the end only items pushed before it can be read', async () => {
  const inbox = new Inbox<number>()
  const waiting = inbox.next(1_000, 'number')
  inbox.push(1)
  inbox.push(2)
  inbox.end('closed with 1000')
  expect([await waiting, await inbox.next(1_000, 'number')]).toEqual([1, 2])
  await expect(inbox.next(1_000, 'number')).rejects.toThrow('no number: closed with 1000')
})

test('waitFor resolves once the fact holds, and names it when it never does', async () => {
  let asked = 0
  expect(await waitFor(() => ++asked > 2 && asked, { what: 'three' })).toBe(3)
  await expect(
    waitFor(() => Promise.reject(new Error('not yet')), { deadlineMs: 20, what: 'the impossible' }),
  ).rejects.toMatchObject({
    message: 'waited 20 ms in vain for the impossible',
    cause: new Error('not yet'),
  })
})
