import { describe, expect, test } from 'vitest'
import { bytes, read, refused } from './frames.test.fixture.ts'
import { HeldBytes } from './held-bytes.ts'

const version = '1.2'

describe('MAX_FRAME_BYTES', () => {
  const limits = { maxFrameBytes: 20 }
  const refusal = { code: 'too-large', reason: 'frame larger than 20 bytes (MAX_FRAME_BYTES)' }

  test('counts from the command to the last byte of the body', () => {
    expect(read(['SEND\na:b\n\n0123456789\0'], { version, limits }).frames).toHaveLength(1)
    expect(refused('SEND\na:b\n\n0123456789X\0', { version, limits })).toEqual({ ...refusal, command: 'SEND' })
  })

  test('refuses a content-length before the body arrives', () => {
    const head = 'SEND\ncontent-length:'
    expect(refused(`${head}5\n\n`, { version, limits: { maxFrameBytes: 28 } })).toBeUndefined()
    expect(refused(`${head}6\n\n`, { version, limits: { maxFrameBytes: 28 } })?.code).toBe('too-large')
    expect(refused(`${head}${'9'.repeat(400)}\n\n`, { version })).toMatchObject({ code: 'too-large', command: 'SEND' })
  })

  test('names the receipt of a frame that is too large', () => {
    expect(refused('SEND\nreceipt:r1\ncontent-length:65536\n\n', { version })).toMatchObject({ code: 'too-large', receipt: 'r1' })
  })

  test('refuses a body without content-length at the first byte over the limit', () => {
    expect(refused('SEND\na:b\n\n0123456789X', { version, limits })).toMatchObject(refusal)
  })

  test('refuses headers that exceed it', () => {
    expect(refused('SEND\na:b\nc:0123456789', { version, limits })).toMatchObject(refusal)
    expect(refused('SEND\na:b\nc:0123456\ndd', { version, limits })).toMatchObject(refusal)
    expect(refused('SEND\na:b\nc:01234567\n\n', { version, limits })).toMatchObject(refusal)
    expect(read(['SEND\na:b\nc:0123456\n\n\0'], { version, limits }).frames).toHaveLength(1)
  })

  test('does not count line ends between frames', () => {
    expect(
      read(['\n'.repeat(1000), 'SEND\n\n0123456789\0', '\n'.repeat(1000), 'SEND\n\n0123456789\0'], { version, limits }).frames,
    ).toHaveLength(2)
  })
})

describe('MAX_HEADERS', () => {
  const limits = { maxHeaders: 3 }

  test('counts every header line, including repeated ones', () => {
    expect(read(['SEND\na:1\na:2\nb:3\n\n\0'], { version, limits }).frames).toHaveLength(1)
    expect(refused('SEND\nreceipt:1\na:2\na:3\na:4\n', { version, limits })).toEqual({
      code: 'too-many-headers',
      reason: 'more than 3 headers (MAX_HEADERS)',
      command: 'SEND',
      receipt: '1',
    })
  })
})

describe('MAX_HEADER_BYTES', () => {
  const limits = { maxHeaderBytes: 12 }
  const refusal = { code: 'header-too-long', reason: 'command or header longer than 12 bytes (MAX_HEADER_BYTES)' }

  test('is the length of a line in bytes, without its line feed', () => {
    expect(read(['SEND\na:0123456789\n\n\0'], { version, limits }).frames).toHaveLength(1)
    expect(refused('SEND\nreceipt:7\na:0123456789X', { version, limits })).toEqual({ ...refusal, command: 'SEND', receipt: '7' })
    expect(refused('SEND\na:한한한한', { version, limits })).toMatchObject(refusal)
  })

  test('applies to the command line', () => {
    expect(refused('0123456789ABC', { version, limits })).toEqual({ ...refusal, command: undefined, receipt: undefined })
  })
})

describe('HeldBytes', () => {
  test('never allocates more than maxLength', () => {
    const held = new HeldBytes(bytes('0123456789'))
    for (let at = 10; at < 100; at++) {
      held.append(Uint8Array.of(at), 100)
      expect(held.view().buffer.byteLength).toBeLessThanOrEqual(100)
    }
    expect(held.length).toBe(100)
    expect(held.view().subarray(8, 12)).toEqual(Uint8Array.of(0x38, 0x39, 10, 11))
  })

  test('reallocates a logarithmic number of times, so that appending byte by byte takes linear time', () => {
    const held = new HeldBytes(Uint8Array.of(0))
    const buffers = new Set<ArrayBufferLike>()
    for (let count = 1; count < 65_536; count++) {
      held.append(Uint8Array.of(count), 65_536)
      buffers.add(held.view().buffer)
    }
    expect(buffers.size).toBeLessThanOrEqual(16)
  })
})
