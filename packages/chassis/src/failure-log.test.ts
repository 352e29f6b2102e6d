import { pino } from 'pino'
import { expect, test } from 'vitest'
import { FailureLog } from './failure-log.ts'

test('a failure is logged once for each text and call, with its causes', () => {
  const lines: { call: string; err: { message: string } }[] = []
  const failures = new FailureLog(pino({ base: null }, { write: (line: string) => lines.push(JSON.parse(line)) }), 'warn')
  const failed = (message: string, call: string) =>
    failures.failed('request failed', new Error(message, { cause: new Error('cause') }), { call })
  expect([failed('away', '/a'), failed('away', '/a'), failed('away', '/b'), failed('full', '/a'), failed('away', '/a')]).toEqual([
    true,
    false,
    true,
    true,
    false,
  ])
  expect(lines).toMatchObject([
    { level: 40, msg: 'request failed', call: '/a', err: { message: 'away: cause' } },
    { call: '/b', err: { message: 'away: cause' } },
    { call: '/a', err: { message: 'full: cause' } },
  ])
})

test('what it remembers is bounded', () => {
  let lines = 0
  const failures = new FailureLog(pino({}, { write: () => lines++ }), 'error')
  for (let turn = 0; turn < 2; turn++) for (let each = 0; each < 200; each++) failures.failed('failed', new Error(String(each)))
  expect(lines).toBe(400)
})
