import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodePublication, encodePublication } from './publication.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

function decoded(payload: string) {
  const { position, body } = decodePublication(encoder.encode(payload))
  return { position, body: decoder.decode(body) }
}

describe('decodePublication', () => {
  test('reads a position, a line feed and a body', () => {
    expect(decoded('1700000000000-3\n{"memberId": 1}')).toEqual({
      position: { epoch: 1_700_000_000_000, offset: 3 },
      body: '{"memberId": 1}',
    })
  })

  test('reads an empty body, and a body with line feeds', () => {
    expect(decoded('1-2\n')).toEqual({ position: { epoch: 1, offset: 2 }, body: '' })
    expect(decoded('1-2\n\n3-4\n')).toEqual({ position: { epoch: 1, offset: 2 }, body: '\n3-4\n' })
  })

  test.each([
    '',
    '{"a": 1}',
    '17',
    '17-',
    '17-3',
    '-3\n',
    '17-\nx',
    '17-3 \nx',
    '17-3\r\nx',
    '1234567890123456-1\nx',
    '1-1234567890123456\nx',
  ])('reads %j as a body without a position', (payload) => {
    expect(decoded(payload)).toEqual({ position: undefined, body: payload })
  })

  test('reads a traceparent between the position and the body, and nothing that resembles one', () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const { body, ...others } = decodePublication(encodePublication({ epoch: 1, offset: 2 }, '{}', traceparent))
    expect([decoder.decode(body), others]).toEqual(['{}', { position: { epoch: 1, offset: 2 }, traceparent }])
    for (const other of [traceparent, `${traceparent} \n{}`, `${traceparent.replace('b7', 'B7')}\n{}`, '0', '00']) {
      const decodedOther = decodePublication(encoder.encode(`1-2\n${other}`))
      expect([decodedOther.traceparent, decoder.decode(decodedOther.body)]).toEqual([undefined, other])
    }
  })

  test('returns a body that shares the memory of the payload', () => {
    const payload = encoder.encode('1-2\nbody')
    expect(decodePublication(payload).body.buffer).toBe(payload.buffer)
  })

  test('reverses encodePublication', () => {
    const number = fc.integer({ min: 0, max: 999_999_999_999_999 })
    fc.assert(
      fc.property(number, number, fc.string({ unit: 'grapheme' }), (epoch, offset, body) => {
        const publication = decodePublication(encodePublication({ epoch, offset }, body))
        expect({ ...publication, body: decoder.decode(publication.body) }).toEqual({ position: { epoch, offset }, body })
      }),
    )
  })
})
