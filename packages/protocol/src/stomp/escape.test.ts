import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { escapeHeader, unescapeHeader } from './escape.ts'

describe('escapeHeader', () => {
  test.each([
    ['1.0', 'a:b\\c\r', 'a:b\\c\r'],
    ['1.1', 'a:b\\c\r\n', 'a\\cb\\\\c\r\\n'],
    ['1.2', 'a:b\\c\r\n', 'a\\cb\\\\c\\r\\n'],
  ] as const)('escapes the special characters of %s', (version, plain, wire) => {
    expect(escapeHeader(plain, version)).toBe(wire)
  })

  test('refuses a character that would end the line or the frame', () => {
    expect(() => escapeHeader('a\nb', '1.0')).toThrow(RangeError)
    for (const version of ['1.0', '1.1', '1.2'] as const) expect(() => escapeHeader('a\0', version)).toThrow(RangeError)
  })
})

describe('unescapeHeader', () => {
  test('reads an escaped backslash before a letter as a backslash and a letter', () => {
    expect(unescapeHeader('\\\\n\\\\c\\\\r', '1.2')).toBe('\\n\\c\\r')
  })

  test('accepts only the escapes of its version', () => {
    expect(unescapeHeader('\\r', '1.2')).toBe('\r')
    for (const [wire, version] of [
      ['\\r', '1.1'],
      ['\\t', '1.1'],
      ['\\t', '1.2'],
      ['a\\', '1.2'],
      ['\\\\\\', '1.2'],
    ] as const) {
      expect(unescapeHeader(wire, version)).toBeUndefined()
    }
    expect(unescapeHeader('\\t\\', '1.0')).toBe('\\t\\')
  })

  test('reverses escapeHeader', () => {
    const plain = fc.string({ unit: fc.constantFrom('\\', ':', '\n', '\r', 'n', 'c', 'r', '한') })
    fc.assert(
      fc.property(plain, fc.constantFrom('1.1', '1.2'), (text, version) => {
        expect(unescapeHeader(escapeHeader(text, version), version)).toBe(text)
      }),
    )
  })
})
