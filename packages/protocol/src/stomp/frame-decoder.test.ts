import { describe, expect, test } from 'vitest'
import { defaultLimits } from '../limit.ts'
import { FrameError, serverCommands } from './frame.ts'
import { FrameDecoder } from './frame-decoder.ts'
import { byteByByte, bytes, concat, read, readOne, refused } from './frames.test.fixture.ts'
import { stompVersions } from './version.ts'

describe('in every version', () => {
  test.each([undefined, ...stompVersions])('%s: reads a command, headers, a blank line, a body and NUL', (version) => {
    expect(readOne('SEND\ndestination:/publish/a\nx:1\n\nhello\nworld\0', version)).toEqual({
      command: 'SEND',
      headers: [
        ['destination', '/publish/a'],
        ['x', '1'],
      ],
      body: 'hello\nworld',
    })
  })

  test.each([undefined, ...stompVersions])('%s: skips line feeds between frames', (version) => {
    const { frames } = read(['\n\nDISCONNECT\n\n\0\n\n\n', '\n', 'DISCONNECT\n\n\0'], { version })
    expect(frames).toHaveLength(2)
  })

  test.each(stompVersions)('%s: reads a body with NULs when there is a content-length', (version) => {
    expect(readOne('SEND\ncontent-length:5\n\na\0b\0c\0', version).body).toBe('a\0b\0c')
  })

  test.each(stompVersions)('%s: ends a body without content-length at the first NUL', (version) => {
    const { frames } = read(['SEND\n\na\0SEND\n\nb\0'], { version })
    expect(frames.map((frame) => frame.body)).toEqual(['a', 'b'])
  })

  test('accepts content-length:0 and leading zeros', () => {
    expect(readOne('SEND\ncontent-length:0\n\n\0', '1.2').body).toBe('')
    expect(readOne('SEND\ncontent-length:003\n\nabc\0', '1.2').body).toBe('abc')
  })

  test.each(stompVersions)('%s: refuses a body that is longer than its content-length', (version) => {
    expect(refused('SEND\nreceipt:9\ncontent-length:2\n\nabc\0', { version })).toEqual({
      code: 'malformed',
      reason: 'no NUL after the 2 bytes of content-length',
      command: 'SEND',
      receipt: '9',
    })
  })

  test.each(['-1', '+1', '1.0', '1e3', '0x5', '', ' 5', '5 ', '5,5', '٣'])('refuses content-length:%s', (value) => {
    const refusal = refused(`SEND\ncontent-length:${value}\n\nhello\0`, { version: '1.2' })
    expect(refusal).toMatchObject({ code: 'malformed', reason: expect.stringContaining('content-length') })
  })

  test.each(stompVersions)('%s: keeps the first of a repeated header', (version) => {
    expect(readOne('MESSAGE\nfoo:World\nbar:1\nfoo:Hello\n\n\0', version).headers).toEqual([
      ['foo', 'World'],
      ['bar', '1'],
    ])
    expect(readOne('SEND\ncontent-length:3\ncontent-length:1\n\nabc\0', version).body).toBe('abc')
  })

  test.each(stompVersions)('%s: reads headers as UTF-8', (version) => {
    expect(readOne('SEND\n이름:값 🎉\n\n본문\0', version)).toMatchObject({ headers: [['이름', '값 🎉']], body: '본문' })
  })

  test('keeps a byte order mark as a part of the name', () => {
    expect(readOne('SEND\n\ufeffa:b\n\n\0', '1.2').headers).toEqual([['\ufeffa', 'b']])
  })

  test.each(stompVersions)('%s: refuses invalid UTF-8 in a header', (version) => {
    const refusal = refused(concat([bytes('SEND\na:'), Uint8Array.of(0xc3, 0x28), bytes('\n\n\0')]), { version })
    expect(refusal).toMatchObject({ code: 'malformed', reason: 'command or header is not UTF-8', command: 'SEND' })
  })

  test('accepts any bytes in a body', () => {
    const bodies: Uint8Array[] = []
    const decoder = new FrameDecoder(defaultLimits)
    decoder.push(concat([bytes('SEND\n\n'), Uint8Array.of(0xff, 0xfe, 0x80, 0)]), (frame) => bodies.push(frame.body))
    expect(bodies).toEqual([Uint8Array.of(0xff, 0xfe, 0x80)])
  })

  test.each([undefined, ...stompVersions])('%s: refuses a header line without a colon or a name', (version) => {
    expect(refused('SEND\nreceipt:r\nnonsense\n\n\0', { version })).toEqual({
      code: 'malformed',
      reason: 'header without a colon: "nonsense"',
      command: 'SEND',
      receipt: 'r',
    })
    expect(refused('SEND\n:value\n\n\0', { version })).toMatchObject({ code: 'malformed', reason: 'header without a name' })
  })

  test.each(stompVersions)('%s: accepts values that are empty or contain colons', (version) => {
    expect(readOne('SEND\na:\nb:x:y:\n\n\0', version).headers).toEqual([
      ['a', ''],
      ['b', 'x:y:'],
    ])
  })

  test('reads __proto__ like any other header', () => {
    expect(readOne('SEND\n__proto__:1\nconstructor:2\n\n\0', '1.2').headers).toEqual([
      ['__proto__', '1'],
      ['constructor', '2'],
    ])
  })

  test('refuses a frame without a blank line at its NUL', () => {
    const reason = 'NUL before the blank line that ends the headers'
    expect(refused('SUBSCRIBE\nreceipt:1\nid:0\0', { version: '1.2' })).toEqual({
      code: 'malformed',
      reason,
      command: 'SUBSCRIBE',
      receipt: '1',
    })
    expect(refused('\0', {})).toMatchObject({ code: 'malformed', reason })
  })

  test.each(['send', 'SEND ', ' SEND', 'GET / HTTP/1.1', 'SENDER', 'constructor'])(
    'refuses the unknown command %j',
    (command) => {
      const refusal = refused(`${command}\n`, { version: '1.2' })
      expect(refusal).toMatchObject({ code: 'unknown-command', reason: `unknown command "${command}"`, command: undefined })
    },
  )

  test('quotes an unknown command shortened and in printable ASCII', () => {
    expect(refused(`\u001b[31m한${'X'.repeat(100)}\n`, {})?.reason).toBe(`unknown command "?[31m?${'X'.repeat(26)}"...`)
  })

  test.each(['1.1', '1.2', undefined] as const)('%s: refuses a body on any frame but SEND, MESSAGE and ERROR', (version) => {
    for (const command of ['SUBSCRIBE', 'ACK', 'DISCONNECT', 'CONNECT', 'RECEIPT']) {
      const refusal = { code: 'malformed', reason: `a ${command} frame has no body`, command }
      expect(refused(`${command}\n\nx\0`, { version })).toMatchObject(refusal)
      expect(refused(`${command}\ncontent-length:1\n\n`, { version })).toMatchObject(refusal)
    }
    for (const command of ['SEND', 'MESSAGE', 'ERROR']) expect(readOne(`${command}\n\nx\0`, version).body).toBe('x')
    expect(readOne('ACK\ncontent-length:0\nid:1\n\n\0', version).body).toBe('')
  })
})

describe('before the version is known', () => {
  test('reads lines that end in LF or CR LF', () => {
    expect(readOne('\r\n\nCONNECT\r\naccept-version:1.2\r\nhost:a\n\r\n\0').headers).toEqual([
      ['accept-version', '1.2'],
      ['host', 'a'],
    ])
  })

  test('neither unescapes nor trims a header', () => {
    expect(readOne('STOMP\nlogin: a\\c\\n \n\n\0').headers).toEqual([['login', ' a\\c\\n ']])
  })

  test('applies a version that is set within onFrame to the next frame of the same push', () => {
    const { frames } = read(['CONNECT\naccept-version:1.2\n\n\0SEND\na:\\r\\c\n\n\0'])
    expect(frames[1]?.headers).toEqual([['a', '\r:']])
  })
})

describe('1.0', () => {
  const version = '1.0'

  test('does not unescape a header', () => {
    expect(readOne('SEND\na:\\n\\c\\\\\\t\\\n\n\0', version).headers).toEqual([['a', '\\n\\c\\\\\\t\\']])
  })

  test('drops spaces around a name or value, and keeps those within a value', () => {
    expect(readOne('SEND\ndestination: /queue/a b \t\nack :\tclient\n\n\0', version).headers).toEqual([
      ['destination', '/queue/a b'],
      ['ack', 'client'],
    ])
    expect(refused('SEND\n  :x\n\n\0', { version })).toMatchObject({ reason: 'header without a name' })
  })

  test('ignores a body on a frame that has none', () => {
    const { frames } = read(['SUBSCRIBE\nid:0\n\nignored\0SUBSCRIBE\ncontent-length:2\n\n\0x\0'], { version })
    expect(frames.map((frame) => frame.body)).toEqual(['', ''])
  })

  test('refuses NACK as an unknown command', () => {
    expect(refused('NACK\n\n\0', { version })).toMatchObject({ code: 'unknown-command', reason: 'unknown command "NACK"' })
  })
})

describe('1.1', () => {
  const version = '1.1'

  test('unescapes \\n, \\c and \\\\ in names and values', () => {
    expect(readOne('SEND\na\\cb\\n:\\\\n\\c\\n\\\\\\\\\n\n\0', version).headers).toEqual([['a:b\n', '\\n:\n\\\\']])
  })

  test.each(['\\r', '\\t', '\\C', '\\ ', '\\'])('refuses the undefined escape %s', (escape) => {
    const reason = expect.stringContaining('undefined escape') as string
    expect(refused(`SEND\na:${escape}\n\n\0`, { version })).toMatchObject({ code: 'malformed', reason, command: 'SEND' })
    expect(refused(`SEND\n${escape}:a\n\n\0`, { version })).toMatchObject({ code: 'malformed', reason })
  })
})

describe('1.0 and 1.1', () => {
  test.each(['1.0', '1.1'] as const)('%s: keeps a CR as an ordinary octet of a header', (version) => {
    expect(readOne('SEND\na:b\rc\r\n\n\0', version).headers).toEqual([['a', 'b\rc\r']])
  })

  test.each(['1.0', '1.1'] as const)('%s: refuses CR LF as a line end', (version) => {
    const refusal = { code: 'malformed', reason: `line ends in CR LF, which STOMP ${version} does not have` }
    expect(refused('SEND\r\n\r\n\0', { version })).toMatchObject(refusal)
    expect(refused('SEND\na:b\n\r\n\0', { version })).toMatchObject(refusal)
    expect(refused('\r\n', { version })).toMatchObject(refusal)
  })
})

describe('1.2', () => {
  const version = '1.2'

  test('unescapes \\r, \\n, \\c and \\\\', () => {
    expect(readOne('SEND\na:\\r\\n\\c\\\\r\n\n\0', version).headers).toEqual([['a', '\r\n:\\r']])
  })

  test.each(['\\t', '\\R', '\\0', '\\'])('refuses the undefined escape %s', (escape) => {
    expect(refused(`SEND\nreceipt:5\na:${escape}\n\n\0`, { version })).toEqual({
      code: 'malformed',
      reason: `undefined escape in a header: "${escape}"`,
      command: 'SEND',
      receipt: '5',
    })
  })

  test('reads lines that end in LF or CR LF, also between frames', () => {
    const { frames } = read(['\r\nSEND\r\na:b\r\nc:d\n\r\n\r\nbody\r\n\0\r\n\n\r\nACK\nid:1\r\n\n\0'], { version })
    expect(frames).toEqual([
      {
        command: 'SEND',
        headers: [
          ['a', 'b'],
          ['c', 'd'],
        ],
        body: '\r\nbody\r\n',
      },
      { command: 'ACK', headers: [['id', '1']], body: '' },
    ])
  })

  test.each(['SEND\na:b\rc\n\n\0', 'SEND\na:b\r\r\n\n\0', '\rSEND\n\n\0', 'SE\rND\n\n\0'])(
    'refuses a CR without LF: %j',
    (stream) => {
      expect(refused(stream, { version })).toMatchObject({ code: 'malformed', reason: 'CR without LF in a command or header' })
    },
  )

  test('keeps spaces around names and values', () => {
    expect(readOne('SEND\n a : b \t\n\n\0', version).headers).toEqual([[' a ', ' b \t']])
  })

  test('does not unescape the headers of CONNECT, STOMP and CONNECTED', () => {
    for (const command of ['CONNECT', 'STOMP', 'CONNECTED']) {
      expect(readOne(`${command}\na:\\c\\t\n\n\0`, version).headers).toEqual([['a', '\\c\\t']])
    }
  })
})

describe('the decoder', () => {
  test('refuses commands of its own side: a client does not send MESSAGE, and a server does not send SEND', () => {
    expect(() => new FrameDecoder(defaultLimits).push(bytes('MESSAGE\n'), () => {})).toThrow('unknown command "MESSAGE"')
    expect(() => new FrameDecoder(defaultLimits, serverCommands).push(bytes('SEND\n'), () => {})).toThrow(
      'unknown command "SEND"',
    )
  })

  test('shares the memory of a body that arrives in one push, and of no other', () => {
    const stream = bytes('SEND\n\nhello\0')
    const buffers: ArrayBufferLike[] = []
    const decoder = new FrameDecoder(defaultLimits)
    decoder.push(stream, (frame) => buffers.push(frame.body.buffer))
    for (const piece of byteByByte(stream)) decoder.push(piece, (frame) => buffers.push(frame.body.buffer))
    expect(buffers).toHaveLength(2)
    expect(buffers[0]).toBe(stream.buffer)
    expect(buffers[1]).not.toBe(stream.buffer)
  })

  test('throws the same error on every push after an error', () => {
    const decoder = new FrameDecoder(defaultLimits)
    const errors: unknown[] = []
    for (const stream of ['NONSENSE\n', 'DISCONNECT\n\n\0']) {
      try {
        decoder.push(bytes(stream), () => expect.unreachable())
      } catch (error) {
        errors.push(error)
      }
    }
    expect(errors[0]).toBeInstanceOf(FrameError)
    expect(errors[1]).toBe(errors[0])
  })

  test('passes on the frames before an error', () => {
    const { frames, refusal } = read(['ACK\nid:1\n\n\0ACK\nid:2\n\n\0BAD\n'], { version: '1.2' })
    expect(frames.map((frame) => frame.headers)).toEqual([[['id', '1']], [['id', '2']]])
    expect(refusal?.code).toBe('unknown-command')
  })
})
