import { describe, expect, test } from 'vitest'
import { formatFrame } from './format-frame.ts'
import { stompVersions, type StompVersion } from './version.ts'

const notification = '{"memberId": 1, "message": "새로운 알림이 도착했습니다."}'

type HeadersAndBody = readonly [headers: readonly (readonly [string, string])[], body?: string]

function formatted(command: string, ...rest: HeadersAndBody): string {
  return formattedIn('1.2', command, ...rest)
}

function formattedIn(version: StompVersion | undefined, command: string, ...[headers, body]: HeadersAndBody): string {
  return formatFrame({ command, headers, body }, version)
}

describe('formatFrame', () => {
  test('writes a command, headers in order, a blank line and NUL', () => {
    expect(
      formatted('RECEIPT', [
        ['receipt-id', 'a'],
        ['recovered', 'true'],
      ]),
    ).toBe('RECEIPT\nreceipt-id:a\nrecovered:true\n\n\0')
  })

  test('adds content-length, in bytes, to a frame with a body', () => {
    expect(formatted('MESSAGE', [['subscription', '0']], notification)).toBe(
      `MESSAGE\nsubscription:0\ncontent-length:69\n\n${notification}\0`,
    )
    expect(formatted('SEND', [], 'a\0b')).toBe('SEND\ncontent-length:3\n\na\0b\0')
    expect(formatted('ERROR', [], '')).toBe('ERROR\ncontent-length:0\n\n\0')
    expect(formatted('ERROR', [['message', 'no']])).toBe('ERROR\nmessage:no\n\n\0')
  })

  test('keeps a correct content-length in its place, and refuses a wrong one', () => {
    expect(
      formatted(
        'SEND',
        [
          ['content-length', '2'],
          ['a', 'b'],
        ],
        'xy',
      ),
    ).toBe('SEND\ncontent-length:2\na:b\n\nxy\0')
    expect(() => formatted('SEND', [['content-length', '3']], 'xy')).toThrow(RangeError)
    expect(() => formatted('SEND', [['content-length', '2']])).toThrow(RangeError)
  })

  test('accepts headers as a Map', () => {
    expect(formatFrame({ command: 'ACK', headers: new Map([['id', '1']]) }, '1.2')).toBe('ACK\nid:1\n\n\0')
  })
})

describe('headers', () => {
  test.each([
    ['1.2', 'RECEIPT\na\\cb:\\r\\n\\c\\\\\n\n\0'],
    ['1.1', 'RECEIPT\na\\cb:\r\\n\\c\\\\\n\n\0'],
  ] as const)('are escaped by the rules of %s', (version, wire) => {
    expect(formattedIn(version, 'RECEIPT', [['a:b', '\r\n:\\']])).toBe(wire)
  })

  test.each(['1.0', undefined] as const)('are not escaped in %s', (version) => {
    expect(formattedIn(version, 'ERROR', [['message', 'a:b\\c']])).toBe('ERROR\nmessage:a:b\\c\n\n\0')
  })

  test.each(stompVersions)('of CONNECTED are not escaped in %s', (version) => {
    expect(formattedIn(version, 'CONNECTED', [['server', 'tidings:\\n']])).toBe('CONNECTED\nserver:tidings:\\n\n\n\0')
  })

  test.each(stompVersions)('of CONNECTED in %s with a line end, a NUL or a colon in the name are refused', (version) => {
    for (const bad of ['a\nb', 'a\r', 'a\0']) {
      expect(() => formattedIn(version, 'CONNECTED', [['user-name', bad]])).toThrow(RangeError)
      expect(() => formattedIn(version, 'CONNECTED', [[bad, '1']])).toThrow(RangeError)
    }
    expect(() => formattedIn(version, 'CONNECTED', [['a:b', '1']])).toThrow(RangeError)
  })

  test.each(['1.0', undefined] as const)('in %s that would inject a header or a frame are refused', (version) => {
    for (const [name, value] of [
      ['a', 'b\nc:d'],
      ['a\nb', 'c'],
      ['a', '\0MESSAGE'],
      ['a:b', 'c'],
    ] as const) {
      expect(() => formattedIn(version, 'RECEIPT', [[name, value]])).toThrow(RangeError)
    }
  })

  test.each(stompVersions)('in %s with a NUL or without a name are refused', (version) => {
    expect(() => formattedIn(version, 'RECEIPT', [['a', 'x\0']])).toThrow(RangeError)
    expect(() => formattedIn(version, 'RECEIPT', [['', 'x']])).toThrow(RangeError)
  })
})

test('a body is refused on a frame that has none', () => {
  expect(() => formatted('RECEIPT', [], 'x')).toThrow('a STOMP RECEIPT frame has no body')
  expect(formatted('RECEIPT', [], '')).toBe('RECEIPT\n\n\0')
})
