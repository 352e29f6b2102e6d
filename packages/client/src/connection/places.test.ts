import { expect, test } from 'vitest'
import { Places } from './places.ts'

test('takes each message of a history once, and never goes back in it', () => {
  const places = new Places()
  expect(['7-1', '7-2', '7-2', '7-1', '7-4'].map((id) => places.take('/q', id))).toEqual([true, true, false, false, true])
  expect(places.lastMessageId('/q')).toBe('7-4')
  expect(places.take('/other', '7-1')).toBe(true)
})

test('another epoch begins anew, also an earlier one: clocks differ', () => {
  const places = new Places()
  expect(['7-9', '6-1', '6-1', '8-1'].map((id) => places.take('/q', id))).toEqual([true, true, false, true])
})

test('a message without a position of its own is taken, and is no step', () => {
  const places = new Places()
  places.take('/q', '7-3')
  expect(places.take('/q', '7-3.1')).toBe(true)
  expect(places.take('/q', '7-3.1')).toBe(true)
  expect(places.take('/q', 'anything')).toBe(true)
  expect(places.lastMessageId('/q')).toBe('7-3')
})

test('a RECEIPT moves the place forwards only, and says whether it did', () => {
  const places = new Places()
  expect(places.advance('/q', '7-3')).toBe(true)
  expect(places.advance('/q', '7-2')).toBe(false)
  expect(places.lastMessageId('/q')).toBe('7-3')
})

test('sees what is missing in between', () => {
  const places = new Places()
  expect(places.isNext('/q', '7-5')).toBe(true)
  places.take('/q', '7-5')
  expect([places.isNext('/q', '7-6'), places.isNext('/q', '7-5'), places.isNext('/q', '7-7')]).toEqual([true, true, false])
})

test('is bounded', () => {
  const places = new Places()
  for (let at = 0; at < 1_000; at += 1) places.take(`/q.${at}`, '7-1')
  expect(places.entries()).toHaveLength(200)
  expect(places.lastMessageId('/q.999')).toBe('7-1')
})
