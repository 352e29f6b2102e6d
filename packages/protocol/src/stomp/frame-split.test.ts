import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { byteByByte, bytes, cutAt, read } from './frames.test.fixture.ts'
import { stompVersions } from './version.ts'

const body = 'a\0b\n\n\0SEND\n\nnot a frame\0'
const crlf = [
  '\r\nSEND\r\ndestination:/publish/a\r\nx:\\r\\n\\c\\\\\r\n\r\nCR LF body\r\n\0\r\n\r\n',
  'ACK\r\nid:1\n\r\n\0',
].join('')

/**
 * A stream with every kind of input: handshake, heart-beats, escapes, multi-byte text, bodies with and without content-length.
 */
function conversation(version: string): string {
  return [
    '\n\r\n',
    `CONNECT\r\naccept-version:${version}\r\nhost:알림\r\nlogin:a\\cb\n\r\n\0`,
    '\n\n',
    'SUBSCRIBE\nid:0\ndestination:/member/queue/notification\nack:client\nreceipt:sub-0\n\n\0',
    `SEND\ndestination:/publish/notification/read\ncontent-length:${body.length}\n이름:값\\c🎉\nempty:\nx:1\nx:2\n\n${body}\0`,
    '\n',
    'BEGIN\ntransaction:t\n\n\0ACK\nid:1\ntransaction:t\n\n\0COMMIT\ntransaction:t\n\n\0',
    'SEND\ndestination:/publish/task/cancel\ncontent-type:application/json\n\n{"본문":"\r\n🎉"}\0\n',
    'SEND\ncontent-length:0\n\n\0SEND\n\n\0',
    version === '1.2' ? crlf : '',
    'UNSUBSCRIBE\nid:0\n\n\0\n\n\nDISCONNECT\nreceipt:bye\n\n\0\n',
  ].join('')
}

describe.each(stompVersions)('a %s stream decodes to the same frames when it is split', (version) => {
  const stream = bytes(conversation(version))
  const whole = read([stream])

  test('nowhere', () => {
    expect(whole.refusal).toBeUndefined()
    expect(whole.frames.map((frame) => frame.command).slice(0, 6)).toEqual([
      'CONNECT',
      'SUBSCRIBE',
      'SEND',
      'BEGIN',
      'ACK',
      'COMMIT',
    ])
    expect(whole.frames[2]).toMatchObject({ body })
    expect(whole.frames).toHaveLength(version === '1.2' ? 13 : 11)
  })

  test('at any one byte', () => {
    for (let at = 0; at <= stream.length; at++) expect(read(cutAt(stream, [at])), `cut at ${at}`).toEqual(whole)
  })

  test('after every byte', () => {
    expect(read(byteByByte(stream))).toEqual(whole)
  })

  test('at many random bytes', () => {
    const places = fc.array(fc.nat(stream.length), { maxLength: 40 })
    fc.assert(
      fc.property(places, (cuts) => {
        expect(read(cutAt(stream, cuts))).toEqual(whole)
      }),
    )
  })
})
