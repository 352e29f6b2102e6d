import { expect, test } from 'vitest'
import { ResumePoints } from './resume-points.ts'

test('accepts each message of a history once, and never moves backwards', () => {
  const points = new ResumePoints()
  expect(['7-1', '7-2', '7-2', '7-1', '7-4'].map((id) => points.accept('/q', id))).toEqual([true, true, false, false, true])
  expect(points.lastMessageId('/q')).toBe('7-4')
  expect(points.accept('/other', '7-1')).toBe(true)
})

test('starts again with another epoch, even an earlier one', () => {
  const points = new ResumePoints()
  expect(['7-9', '6-1', '6-1', '8-1'].map((id) => points.accept('/q', id))).toEqual([true, true, false, true])
})

test('accepts a message without a position of its own, and does not move', () => {
  const points = new ResumePoints()
  points.accept('/q', '7-3')
  expect(points.accept('/q', '7-3.1')).toBe(true)
  expect(points.accept('/q', '7-3.1')).toBe(true)
  expect(points.accept('/q', 'anything')).toBe(true)
  expect(points.lastMessageId('/q')).toBe('7-3')
})

test('advances forwards only, and returns whether it moved', () => {
  const points = new ResumePoints()
  expect(points.advance('/q', '7-3')).toBe(true)
  expect(points.advance('/q', '7-2')).toBe(false)
  expect(points.lastMessageId('/q')).toBe('7-3')
})

test('detects publications that are missing in between', () => {
  const points = new ResumePoints()
  expect(points.isNext('/q', '7-5')).toBe(true)
  points.accept('/q', '7-5')
  expect([points.isNext('/q', '7-6'), points.isNext('/q', '7-5'), points.isNext('/q', '7-7')]).toEqual([true, true, false])
})

test('keeps at most 200 destinations', () => {
  const points = new ResumePoints()
  for (let at = 0; at < 1_000; at += 1) points.accept(`/q.${at}`, '7-1')
  expect(points.entries()).toHaveLength(200)
  expect(points.lastMessageId('/q.999')).toBe('7-1')
})
