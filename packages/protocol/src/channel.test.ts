import { expect, test } from 'vitest'
import { broadcastChannel, controlChannel, historyKey, memberChannel } from './channel.ts'

test('channels are named as PROTOCOL.md §3 lists them', () => {
  expect(memberChannel(1, 'notification')).toBe('member:1:notification')
  expect(memberChannel(1, 'read')).toBe('member:1:read')
  expect(memberChannel(7, 'task.018f')).toBe('member:7:task.018f')
  expect(broadcastChannel('all')).toBe('broadcast:all')
  expect(controlChannel).toBe('gateway:control')
})

test('the whole channel is the hash tag of its history, so that both share a cluster slot', () => {
  expect(historyKey('member:1:notification')).toBe('{member:1:notification}:history')
})
