import { closeSync, fstatSync, mkdtempSync, openSync, readdirSync, readFileSync, readSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memberToken, openRawSession, type RawSession, waitFor } from '@tidings/local'
import { expect, test } from 'vitest'
import { nothingElse, openBed } from './gateway.test.fixture.ts'

/** The last octets of a file. */
function endOf(file: string): string {
  const descriptor = openSync(file, 'r')
  try {
    const octets = Buffer.alloc(4)
    return octets.toString('latin1', 0, readSync(descriptor, octets, 0, 4, Math.max(0, fstatSync(descriptor).size - 4)))
  } finally {
    closeSync(descriptor)
  }
}

test('a session keeps nothing of the request that opened it, but the token and the Origin', { timeout: 60_000 }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tidings-heap-'))
  const bed = await openBed()
  try {
    const gateway = await bed.gateway({ NODE_OPTIONS: `--heapsnapshot-signal=SIGUSR2 --diagnostic-dir=${directory}` })
    const token = memberToken(1)
    const session = (await openRawSession(gateway.url, {
      cookie: `before=marked-cookie-before; access_token=${token}; after=marked-cookie-after`,
      headers: { 'x-marked': 'marked-header' },
    })) as RawSession
    session.sends('CONNECT\naccept-version:1.2\nx-marked:marked-connect\n\n\0')
    await session.nextFrame()
    await nothingElse(session)
    process.kill(gateway.pid, 'SIGUSR2')
    const file = await waitFor(() => readdirSync(directory).map((name) => join(directory, name))[0], {
      what: 'the heap snapshot',
    })
    await waitFor(() => endOf(file).trimEnd().endsWith(']}'), { what: 'all of it', deadlineMs: 30_000 })
    const snapshot = readFileSync(file, 'utf8')
    const { strings } = JSON.parse(snapshot) as { strings: string[] }
    // The session is there, with its credentials…
    expect(strings).toContain(token)
    // … and nothing else of the request is.
    expect(strings.filter((text) => text.includes('marked-'))).toEqual([])
    expect(strings.filter((text) => text === 'sec-websocket-key')).toHaveLength(1)
  } finally {
    await bed.close()
    rmSync(directory, { recursive: true, force: true })
  }
})
