import { memberToken, openRawSession, type RawSession } from '@tidings/local'
import { expect, test } from 'vitest'
import { expectNothingElse, startGatewayStack } from './fixture/gateway.ts'
import { heapSnapshots } from './fixture/heap-snapshot.ts'

test('keeps the token and the Origin of the upgrade request in memory, and nothing else of it', { timeout: 90_000 }, async () => {
  const snapshots = heapSnapshots()
  const stack = await startGatewayStack()
  try {
    const gateway = await stack.startGateway(snapshots.env)
    const token = memberToken(1)
    const session = (await openRawSession(gateway.url, {
      cookie: `before=marked-cookie-before; access_token=${token}; after=marked-cookie-after`,
      headers: { 'x-marked': 'marked-header' },
    })) as RawSession
    session.sends('CONNECT\naccept-version:1.2\nx-marked:marked-connect\n\n\0')
    await session.nextFrame()
    await expectNothingElse(session)
    const { strings } = JSON.parse(await snapshots.take(gateway.pid)) as { strings: string[] }
    // The session exists, and holds its token.
    expect(strings).toContain(token)
    // No other text of the request is in the heap.
    expect(strings.filter((text) => text.includes('marked-'))).toEqual([])
    await expectNothingElse(session)
  } finally {
    await stack.close()
    snapshots.close()
  }
})
