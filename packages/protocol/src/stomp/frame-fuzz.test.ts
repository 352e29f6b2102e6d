import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { byteByByte, bytes, concat, cutAt, type Outcome, type Reading, read } from './frames.test.fixture.ts'
import { stompVersions } from './version.ts'

const limits = { maxFrameBytes: 120, maxHeaders: 4, maxHeaderBytes: 60 }
const words = [
  'SEND',
  'ACK',
  'SUBSCRIBE',
  'NACK',
  'MESSAGE',
  'content-length:',
  'content-length:3\n',
  'receipt:1\n',
  '7',
  '1000000',
]
const marks = ['\n', '\n\n', '\r\n', '\r', '\0', ':', 'a:b', '\\', '\\n', '\\t', ' ', '한', '\u001b', 'x'.repeat(30)]
const vocabulary = [...words, ...marks]
const versions = fc.constantFrom(undefined, ...stompVersions)

/**
 * Expects frames within the limits or a FrameError (`read` rethrows any other error), and the same result however the bytes are
 * split.
 */
function expectStable(stream: Uint8Array, cuts: readonly number[], reading: Reading): void {
  const whole = read([stream], reading)
  expect(read(cutAt(stream, cuts), reading)).toEqual(whole)
  expect(read(byteByByte(stream), reading)).toEqual(whole)
  expectBounded(whole)
}

function expectBounded({ frames, refusal }: Outcome): void {
  for (const frame of frames) {
    expect(frame.headers.length).toBeLessThanOrEqual(limits.maxHeaders)
    // An invalid byte becomes one character here, so there are never more characters than bytes.
    expect(frame.body.length).toBeLessThanOrEqual(limits.maxFrameBytes)
  }
  if (refusal) expect(refusal.reason).toMatch(/^[\u0020-\u007e]{10,120}$/)
}

describe('the decoder yields valid frames or a FrameError for', () => {
  test('random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.array(fc.nat(300)), versions, (stream, cuts, version) => {
        expectStable(stream, cuts, { version, limits })
      }),
      { numRuns: 300 },
    )
  })

  test('pieces of frames in any order', () => {
    const piece = fc.constantFrom(...vocabulary)
    const stream = fc.array(piece, { maxLength: 30 }).map((pieces) => bytes(pieces.join('')))
    fc.assert(
      fc.property(stream, fc.array(fc.nat(200)), versions, (sent, cuts, version) =>
        expectStable(sent, cuts, { version, limits }),
      ),
      { numRuns: 1500 },
    )
  })

  test('frames with a few bytes changed, removed or inserted', () => {
    const original = bytes('SEND\nreceipt:1\nx:\\c\\\\\ncontent-length:4\n\na\0b\0\0\nACK\r\nid:한\r\n\r\n\0SEND\n\nbody\0')
    const change = fc.record({ at: fc.nat(original.length), removed: fc.nat(3), inserted: fc.uint8Array({ maxLength: 3 }) })
    const changed = fc.array(change, { minLength: 1, maxLength: 4 }).map((changes) => {
      let stream = original
      for (const { at, removed, inserted } of changes)
        stream = concat([stream.subarray(0, at), inserted, stream.subarray(at + removed)])
      return stream
    })
    fc.assert(
      fc.property(changed, fc.array(fc.nat(120)), versions, (stream, cuts, version) =>
        expectStable(stream, cuts, { version, limits }),
      ),
      { numRuns: 1500 },
    )
  })
})
