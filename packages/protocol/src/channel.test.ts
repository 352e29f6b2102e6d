import { expect, test } from 'vitest'
import { broadcastChannel, controlChannel, historyKey, historyLimitOf, historyLimits, memberChannel } from './channel.ts'

test('channels have the names of PROTOCOL.md §3', () => {
  expect(memberChannel(1, 'notification')).toBe('member:1:notification')
  expect(memberChannel(1, 'read')).toBe('member:1:read')
  expect(memberChannel(7, 'task.018f')).toBe('member:7:task.018f')
  expect(broadcastChannel('all')).toBe('broadcast:all')
  expect(controlChannel).toBe('gateway:control')
})

test('the key of a history has its channel as hash tag, so that both are on one cluster slot', () => {
  expect(historyKey('member:1:notification')).toBe('{member:1:notification}:history')
  expect(historyKey('member:1:notification', 'staging:')).toBe('{staging:member:1:notification}:history')
})

test.each([
  ['member:1:notification', historyLimits.notification],
  ['member:1:task.018f', historyLimits.taskEvents],
  ['member:1:cart', historyLimits.message],
  ['member:1:tasks', historyLimits.message],
  ['broadcast:all', historyLimits.broadcast],
  ['broadcast:order.17', historyLimits.broadcast],
  [controlChannel, historyLimits.control],
  ['gateway:canary:018f', undefined],
])('the history of %s is bounded by %j', (channel, limit) => {
  expect(historyLimitOf(channel)).toBe(limit)
})
