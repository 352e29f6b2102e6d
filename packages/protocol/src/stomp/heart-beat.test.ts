import { expect, test } from 'vitest'
import { heartBeat, negotiateHeartBeat } from './heart-beat.ts'

const offer = { sendMs: 10_000, wantMs: 10_000 }

test.each([
  [undefined, 0, 0],
  ['0,0', 0, 0],
  ['10000,10000', 10_000, 10_000],
  ['5000,20000', 20_000, 10_000],
  ['20000,5000', 10_000, 20_000],
  ['0,15000', 15_000, 0],
  ['15000,0', 0, 15_000],
  ['1,1', 10_000, 10_000],
  [' 4000 , 30000 ', 30_000, 10_000],
  ['999999999,999999999', 999_999_999, 999_999_999],
])('heart-beat:%s of the client is agreed to sending every %i ms and expecting every %i ms', (header, sendMs, expectMs) => {
  expect(negotiateHeartBeat(offer, header)).toEqual({ sendMs, expectMs })
})

test.each(['', '1', '1,', ',1', '1,2,3', '-1,0', '1.5,0', '1e3,0', 'a,b', '1000000000,0', '1;2'])(
  'heart-beat:%s is refused as malformed',
  (header) => {
    expect(negotiateHeartBeat(offer, header)).toBeUndefined()
  },
)

test('a direction in which one side offers 0 has no heart-beats', () => {
  expect(negotiateHeartBeat({ sendMs: 0, wantMs: 0 }, '5000,5000')).toEqual({ sendMs: 0, expectMs: 0 })
  expect(negotiateHeartBeat({ sendMs: 0, wantMs: 7_000 }, '5000,5000')).toEqual({ sendMs: 0, expectMs: 7_000 })
})

test('a heart-beat is one line feed', () => {
  expect(heartBeat).toBe('\n')
})
