import { Close } from '@tidings/protocol/close'
import { expect, test } from 'vitest'
import { verdictOf } from './verdict.ts'

const after = (code: number, more: { reason?: string; wasConnected?: boolean; toldMs?: number } = {}) =>
  verdictOf({ code, reason: '', wasConnected: true, ...more })

test('each close code of the protocol', () => {
  const verdicts = Object.entries(Close).map(([name, code]) => [name, after(code).action])
  expect(Object.fromEntries(verdicts)).toEqual({
    done: 'reconnect',
    restarting: 'reconnect',
    badFrame: 'stop',
    unauthorized: 'renew',
    forbidden: 'stop',
    timeout: 'reconnect',
    displaced: 'stop',
    flood: 'reconnect',
    slow: 'reconnect',
  })
})

test('a lost connection comes back; one that never stood asks why', () => {
  expect(after(1006)).toEqual({ action: 'reconnect' })
  expect(after(1006, { wasConnected: false })).toEqual({ action: 'ask' })
})

test('a restarting gateway tells the delay, in a message or in the reason', () => {
  expect(after(1012, { toldMs: 700 })).toEqual({ action: 'reconnect', afterMs: 700 })
  expect(after(1012, { reason: 'reconnect after 1500 ms' })).toEqual({ action: 'reconnect', afterMs: 1_500 })
  expect(after(1012, { reason: 'reconnect after a while' })).toEqual({ action: 'reconnect' })
})
