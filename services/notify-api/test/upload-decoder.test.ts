import { expect, test } from 'vitest'
import { NdjsonDecoder, PlainTextDecoder, type UploadDecoder } from '../src/task/upload-decoder.ts'

const append = (text: string) => `${JSON.stringify({ type: 'append', text })}\n`
const plain = () => new PlainTextDecoder()
const ndjson = () => new NdjsonDecoder(100)
const whole = Buffer.from('é가🌃')

/** The text of all events, and the message of the error that ended them. */
function decodeAll(decoder: UploadDecoder, chunks: readonly Buffer[]): { text: string; error: string | undefined } {
  let text = ''
  const add = (events: ReturnType<UploadDecoder['push']>) => {
    for (const event of events) if (event.type === 'append') text += event.text
  }
  try {
    for (const chunk of chunks) add(decoder.push(chunk))
    add(decoder.end())
  } catch (error) {
    return { text, error: (error as Error).message }
  }
  return { text, error: undefined }
}

test.each<[string, () => UploadDecoder, Buffer, string, RegExp | undefined]>([
  ['text', plain, Buffer.from('hello é가🌃'), 'hello é가🌃', undefined],
  ['a byte order mark', plain, Buffer.from('\ufeffa'), '\ufeffa', undefined],
  ['a bad byte', plain, Buffer.from('hello \xff', 'latin1'), 'hello ', /not UTF-8/],
  ['a bad byte before more text', plain, Buffer.concat([whole, Buffer.of(0xff), whole]), 'é가🌃', /not UTF-8/],
  ['half a character before a letter', plain, Buffer.concat([whole, Buffer.of(0xea, 0xb0, 0x41, 0x42)]), 'é가🌃', /not UTF-8/],
  ['half a character at the end', plain, Buffer.concat([whole, Buffer.of(0xf0, 0x9f, 0x8c)]), 'é가🌃', /not UTF-8/],
  ['an encoded surrogate', plain, Buffer.concat([whole, Buffer.of(0xed, 0xa0, 0x80)]), 'é가🌃', /not UTF-8/],
  ['events', ndjson, Buffer.from(`${append('one')}\r\n${append('나')}`), 'one나', undefined],
  ['no JSON', ndjson, Buffer.from(`${append('one')}${append('나')}not json\n${append('no')}`), 'one나', /Line 3 is not JSON/],
  ['no JSON at the end', ndjson, Buffer.from(`${append('one')}{"type"`), 'one', /Line 2 is not JSON/],
  ['no event', ndjson, Buffer.from(`${append('one')}{"type":"x"}\n`), 'one', /Line 2: /],
  ['a changed number', ndjson, Buffer.from(`${append('one')}{"type":"data","data":[1,1e400]}\n`), 'one', /Line 2: #\/data\/1 /],
  [
    'a key that is refused',
    ndjson,
    Buffer.from(`${append('one')}{"type":"data","data":[{"\\u005f_proto__":1}]}\n`),
    'one',
    /Line 2: #\/data\/0\/__proto__ is refused/,
  ],
  ['a word that is not', ndjson, Buffer.from(append('prototype __proto__ \\u')), 'prototype __proto__ \\u', undefined],
  ['a long line', ndjson, Buffer.from(`${append('one')}${append('x'.repeat(100))}`), 'one', /Line 2 has more than 100 bytes/],
  ['a bad byte in a line', ndjson, Buffer.concat([Buffer.from(append('one')), Buffer.of(0xff, 0x0a)]), 'one', /not UTF-8/],
])('%s: the same text and the same answer, wherever the chunks are cut', (_case, open, bytes, text, error) => {
  const expected = decodeAll(open(), [bytes])
  expect(expected.text).toBe(text)
  if (error) expect(expected.error).toMatch(error)
  else expect(expected.error).toBeUndefined()
  const byByte = Array.from(bytes, (byte) => Buffer.of(byte))
  expect(decodeAll(open(), byByte)).toEqual(expected)
  for (let at = 0; at <= bytes.length; at++) {
    expect(decodeAll(open(), [bytes.subarray(0, at), bytes.subarray(at)])).toEqual(expected)
  }
})
