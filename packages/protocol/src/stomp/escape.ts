import type { StompVersion } from './version.ts'

const special = { '1.1': /[\\\n:]/g, '1.2': /[\\\n:\r]/g } as const
const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', ':': '\\c', '\r': '\\r' }

/**
 * Escapes a header name or value. 1.0 has no escapes, 1.1 has `\\`, `\n` and `\c`, and 1.2 adds `\r` (STOMP 1.1 and 1.2, Value
 * Encoding). A carriage return before 1.2, and a colon in 1.0, are ordinary octets and stay as they are.
 *
 * @throws RangeError for a character that the version cannot express, so that a value can never end its line or its frame: a NUL
 * in any version, and a line feed in 1.0.
 */
export function escapeHeader(text: string, version: StompVersion): string {
  if (text.includes('\0')) throw new RangeError('a STOMP header cannot hold a NUL')
  if (version !== '1.0') return text.replace(special[version], (character) => escapes[character] as string)
  if (text.includes('\n')) throw new RangeError('a STOMP 1.0 header cannot hold a line feed')
  return text
}

/**
 * Reverses {@link escapeHeader}. Returns undefined for an escape sequence that the version does not define, which is a fatal
 * error.
 */
export function unescapeHeader(text: string, version: StompVersion): string | undefined {
  let at = version === '1.0' ? -1 : text.indexOf('\\')
  if (at < 0) return text
  let plain = ''
  let from = 0
  for (; at >= 0; at = text.indexOf('\\', from)) {
    const character = unescaped(text[at + 1], version)
    if (character === undefined) return undefined
    plain += text.slice(from, at) + character
    from = at + 2
  }
  return plain + text.slice(from)
}

function unescaped(letter: string | undefined, version: StompVersion): string | undefined {
  if (letter === '\\') return '\\'
  if (letter === 'n') return '\n'
  if (letter === 'c') return ':'
  return letter === 'r' && version === '1.2' ? '\r' : undefined
}
