import { Close } from '@tidings/protocol/close'
import { expect, test } from 'vitest'
import { closeAction } from './close-action.ts'

const after = (code: number, more: { reason?: string; wasConnected?: boolean; delayMs?: number } = {}) =>
  closeAction({ code, reason: '', wasConnected: true, ...more })

test('returns an action for each close code of the protocol', () => {
  const actions = Object.entries(Close).map(([name, code]) => [name, after(code).action])
  expect(Object.fromEntries(actions)).toEqual({
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

test('reconnects a lost connection, and probes the HTTP API when it was never established', () => {
  expect(after(1006)).toEqual({ action: 'reconnect' })
  expect(after(1006, { wasConnected: false })).toEqual({ action: 'probe' })
})

test('takes the delay of a restarting gateway from its message or from the close reason', () => {
  expect(after(1012, { delayMs: 700 })).toEqual({ action: 'reconnect', afterMs: 700 })
  expect(after(1012, { reason: 'reconnect after 1500 ms' })).toEqual({ action: 'reconnect', afterMs: 1_500 })
  expect(after(1012, { reason: 'reconnect after a while' })).toEqual({ action: 'reconnect' })
})
