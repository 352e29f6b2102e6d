import { expect, test } from 'vitest'
import { isTopicPattern, topicMatches } from './topic.ts'

test.each([
  ['team.7', true],
  ['order.*', true],
  ['order*', true],
  ['*', true],
  [`${'a'.repeat(128)}*`, true],
  ['a'.repeat(129), false],
  ['', false],
  ['.a', false],
  ['.*', false],
  ['a*b', false],
  ['*.a', false],
  ['**', false],
  ['a**', false],
  ['a b', false],
  ['a/b', false],
  ['a\n', false],
  ['/topic/a', false],
])('%j is a pattern: %s', (text, expected) => {
  expect(isTopicPattern(text)).toBe(expected)
})

test.each([
  ['team.7', 'team.7', true],
  ['team.7', 'team.70', false],
  ['team.7', 'Team.7', false],
  ['team.7', 'teamx7', false],
  ['order.*', 'order.17', true],
  ['order.*', 'order.17.line', true],
  ['order.*', 'order.', true],
  ['order.*', 'order', false],
  ['order.*', 'orders.17', false],
  ['order*', 'orders', true],
  ['*', 'anything', true],
])('%j matches %j: %s', (pattern, topic, expected) => {
  expect(topicMatches(pattern, topic)).toBe(expected)
})
