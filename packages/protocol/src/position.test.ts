import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { follows, formatPosition, parsePosition } from './position.ts'

test('parsePosition reads epoch and offset', () => {
  expect(parsePosition('1700000000000-5')).toEqual({ epoch: 1_700_000_000_000, offset: 5 })
  expect(parsePosition('1700000000000-0')).toEqual({ epoch: 1_700_000_000_000, offset: 0 })
})

test('parsePosition reads the message-id of a publication without a position as the position it follows', () => {
  expect(parsePosition('1700000000000-5.2')).toEqual({ epoch: 1_700_000_000_000, offset: 5 })
})

test.each(['', '5', '-5', '5-', '5-6-7', '1.2-3', '5-6.', 'a-b', ' 5-6', '5-6\n', '5--6', '5-1234567890123456', '٣-٤'])(
  '%j is not a position',
  (text) => {
    expect(parsePosition(text)).toBeUndefined()
  },
)

test('parsePosition reverses formatPosition', () => {
  const number = fc.integer({ min: 0, max: 999_999_999_999_999 })
  fc.assert(
    fc.property(number, number, (epoch, offset) => {
      expect(parsePosition(formatPosition({ epoch, offset }))).toEqual({ epoch, offset })
    }),
  )
})

test('only the next offset of the same epoch follows a position', () => {
  const previous = { epoch: 7, offset: 4 }
  expect(follows(previous, { epoch: 7, offset: 5 })).toBe(true)
  expect(follows(previous, { epoch: 7, offset: 4 })).toBe(false)
  expect(follows(previous, { epoch: 7, offset: 6 })).toBe(false)
  expect(follows(previous, { epoch: 8, offset: 5 })).toBe(false)
})
