import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatFrame } from './format-frame.ts'
import { allCommands, bytes, concat, cutAt, type PlainFrame, read } from './frames.test.fixture.ts'
import { stompVersions, type StompVersion } from './version.ts'

const handshake = new Set(['CONNECT', 'STOMP', 'CONNECTED'])
const bodied = new Set(['SEND', 'MESSAGE', 'ERROR'])

/** Text of characters that are special in a header and of any others, except NUL. */
const header = fc
  .array(
    fc.oneof(fc.constantFrom(':', '\\', '\r', '\n', ' ', '\\n', '\\c', '\r\n', '한', '🎉', 'é'), fc.string({ unit: 'grapheme' })),
    {
      maxLength: 6,
    },
  )
  .map((parts) => parts.join('').replaceAll('\0', ''))

const body = fc.oneof(
  fc.constantFrom('', '\0', '\0\0', '\n\0\n', 'ACK\n\n\0'),
  fc.array(fc.oneof(fc.constant('\0'), fc.string({ unit: 'grapheme' }))).map((parts) => parts.join('')),
)

/** Removes the characters that the version and the command cannot express. */
function expressible(part: string, command: string, version: StompVersion, isName: boolean): string {
  const unescaped = version === '1.0' || handshake.has(command)
  let plain = unescaped ? part.replaceAll('\n', '') : part
  if (unescaped && isName) plain = plain.replaceAll(':', '')
  if (handshake.has(command)) plain = plain.replaceAll('\r', '')
  if (version === '1.0') plain = plain.replace(/^[ \t]+/, '').replace(/[ \t]+$/, '')
  return isName && (plain === '' || plain === 'content-length') ? 'name' : plain
}

function frameOf(version: StompVersion): fc.Arbitrary<PlainFrame> {
  const commands = [...allCommands].filter((command) => !(version === '1.0' && command === 'NACK'))
  return fc
    .record({ command: fc.constantFrom(...commands), headers: fc.array(fc.tuple(header, header), { maxLength: 6 }), body })
    .map((frame) => {
      const headers = frame.headers.map(
        ([name, value]) =>
          [expressible(name, frame.command, version, true), expressible(value, frame.command, version, false)] as const,
      )
      return { command: frame.command, headers: [...new Map(headers)], body: bodied.has(frame.command) ? frame.body : '' }
    })
}

/** Removes the header that the encoder adds and the generated frames do not have. */
function withoutContentLength(frame: PlainFrame): PlainFrame {
  return { ...frame, headers: frame.headers.filter(([name]) => name !== 'content-length') }
}

describe.each(stompVersions)('%s', (version) => {
  test('formatted frames decode to the same frames, wherever the stream is split', () => {
    const conversation = fc.array(fc.tuple(frameOf(version), fc.nat(2)), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(conversation, fc.array(fc.nat(400), { maxLength: 8 }), (sent, cuts) => {
        const stream = concat(
          sent.flatMap(([frame, beats]) => [bytes(formatFrame(frame, version)), new Uint8Array(beats).fill(0x0a)]),
        )
        const { frames, refusal } = read(cutAt(stream, cuts), { version })
        expect(refusal).toBeUndefined()
        expect(frames.map(withoutContentLength)).toEqual(sent.map(([frame]) => frame))
      }),
      { numRuns: 500 },
    )
  })

  test('decoded frames are formatted to the same text again', () => {
    fc.assert(
      fc.property(frameOf(version), (frame) => {
        const once = formatFrame(frame, version)
        const again = formatFrame(read([once], { version }).frames[0] as PlainFrame, version)
        expect(again).toBe(once)
      }),
    )
  })
})
