import { memberToken, openRawSession, type RawSession } from '@tidings/local'
import { expect, test } from 'vitest'
import { nothingElse, openBed } from './fixture/gateway.ts'
import { heapSnapshots } from './fixture/heap-snapshot.ts'

test('a session keeps nothing of the request that opened it, but the token and the Origin', { timeout: 90_000 }, async () => {
  const snapshots = heapSnapshots()
  const bed = await openBed()
  try {
    const gateway = await bed.gateway(snapshots.env)
    const token = memberToken(1)
    const session = (await openRawSession(gateway.url, {
      cookie: `before=marked-cookie-before; access_token=${token}; after=marked-cookie-after`,
      headers: { 'x-marked': 'marked-header' },
    })) as RawSession
    session.sends('CONNECT\naccept-version:1.2\nx-marked:marked-connect\n\n\0')
    await session.nextFrame()
    await nothingElse(session)
    const { strings } = JSON.parse(await snapshots.take(gateway.pid)) as { strings: string[] }
    // The session is there, with its credentials…
    expect(strings).toContain(token)
    // … and nothing else of the request is.
    expect(strings.filter((text) => text.includes('marked-'))).toEqual([])
    await nothingElse(session)
  } finally {
    await bed.close()
    snapshots.close()
  }
})
