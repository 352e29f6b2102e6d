import { expect, test } from 'vitest'
import { TaskText } from './task-text.ts'

test('returns the bytes after any offset, and keeps a high surrogate until its low surrogate is added', () => {
  const whole = '가 👋🏽 é done'
  const text = new TaskText()
  for (let index = 0; index < whole.length; index++) text.add(whole[index] as string)
  const bytes = Buffer.from(whole)
  expect(text.bytes).toBe(bytes.length)
  for (let offset = 0; offset <= bytes.length; offset++)
    expect(Buffer.from(text.after(offset)).equals(bytes.subarray(offset))).toBe(true)
})
