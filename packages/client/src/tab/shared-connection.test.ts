import { afterEach, expect, test, vi } from 'vitest'
import { SessionRenewal } from '../connection/session-renewal.ts'
import { Diagnostics } from '../diagnostics.ts'
import { HttpApi } from '../http-api.ts'
import { LiveInbox } from '../inbox/live-inbox.ts'
import { settingsOf } from '../options.ts'
import { SharedConnection } from './shared-connection.ts'
import { TabGroup } from './tab-group.ts'
import { tabMessageVersion } from './tab-message.ts'

const instances = 300
const channelName = `tidings ${tabMessageVersion} test ws://localhost/ws`

afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

test('after a gap, devices read the inbox at random times within five seconds', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  vi.stubGlobal('location', { origin: 'http://localhost' })
  // Another tab holds the lock: this one follows it.
  vi.stubGlobal('navigator', { onLine: true, locks: { request: () => new Promise(() => {}) } })
  const settings = settingsOf({ scope: 'test' })
  const readAtMs: number[] = []
  let loaded = false
  vi.stubGlobal('fetch', (url: string) => {
    if (loaded && url.includes('?limit')) readAtMs.push(performance.now())
    return Promise.resolve(
      Response.json(
        url.includes('?limit') ? { memberId: 1, items: [], nextCursor: null } : { memberId: 1, unreadCount: 0, revision: 0 },
      ),
    )
  })
  const api = new HttpApi(settings, new Diagnostics(settings), () => Promise.resolve(false))
  const host = { announce: () => {}, leading: false, shareCount: () => {}, memberKnown: () => {}, received: () => {} }
  const inboxes = Array.from({ length: instances }, () => new LiveInbox(settings, api, host))
  let gapAtMs: number | undefined
  const page = { isFocused: () => false, isVisible: () => false }
  const connection = new SharedConnection(
    { settings, api, renewal: new SessionRenewal(settings), page, log: () => {} },
    {
      message: () => {},
      counted: () => {},
      taskWaits: () => {},
      refused: () => {},
      memberChanged: () => {},
      signedOut: () => {},
      endSession: () => Promise.resolve(true),
      missed(_destination, spreadMs) {
        gapAtMs = performance.now()
        for (const inbox of inboxes) inbox.missed(spreadMs)
      },
    },
  )
  connection.start()
  for (const inbox of inboxes) inbox.start()
  await vi.advanceTimersByTimeAsync(2_000)
  expect(inboxes.every((inbox) => inbox.getSnapshot().status === 'ready')).toBe(true)
  loaded = true

  const leader = new TabGroup(channelName, true)
  leader.join({ lead: () => {}, replaced: () => {}, message: () => {} })
  leader.post({ type: 'subscribed', destination: '/member/queue/notification', outcome: 'lost' })
  await vi.waitFor(() => expect(gapAtMs).toBeDefined())
  await vi.advanceTimersByTimeAsync(10_000)
  const afterMs = readAtMs.map((atMs) => atMs - (gapAtMs ?? 0))
  expect(afterMs).toHaveLength(instances)
  const seconds = new Set(afterMs.map((ms) => Math.floor((ms - 20) / 1_000)))
  expect([...seconds].toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4])
  leader.leave()
  await connection.stop()
})
