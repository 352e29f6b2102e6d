import { setTimeout as delay } from 'node:timers/promises'
import { memberToken, openRawSession, type RawSession, type ServiceProcess, waitFor } from '@tidings/local'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Bed, connected, message, numbers, openBed, sendFrame, subscribed } from './fixture/gateway.ts'

let bed: Bed

beforeAll(async () => {
  bed = await openBed()
})
afterAll(() => bed.close())

const members = 1_000
const drainMs = 5_000
const queue = '/member/queue/notification'

/** A browser that resumes elsewhere when its gateway tells it to. */
class Browser {
  readonly received: string[] = []
  recovered = 0
  failure: unknown = undefined
  readonly memberId: number
  #at = ''

  constructor(memberId: number) {
    this.memberId = memberId
  }

  async open(gateway: ServiceProcess, other?: ServiceProcess): Promise<void> {
    const session = await connected(gateway, { memberId: this.memberId })
    await subscribed(session, 'session', '/member/queue/session')
    const receipt = await subscribed(session, '0', queue, this.#at ? { 'last-message-id': this.#at } : {})
    if (receipt.headers.get('recovered') === 'true') this.recovered++
    this.#at = receipt.headers.get('position') ?? ''
    this.#read(session, other).catch((error: unknown) => (this.failure = error))
  }

  /** On a busy machine a connection may fail: like any client it tries again. */
  async #comeBack(gateway: ServiceProcess): Promise<void> {
    for (let attempt = 1; attempt < 10; attempt++) {
      try {
        return await this.open(gateway)
      } catch {
        await delay(100)
      }
    }
    throw new Error('it could not come back')
  }

  async #read(session: RawSession, other: ServiceProcess | undefined): Promise<void> {
    for (;;) {
      const { headers, body } = await message(session, 120_000)
      if (headers.get('subscription') === '0') {
        this.#at = headers.get('message-id') ?? ''
        this.received.push(body)
        continue
      }
      const { type, reconnectAfterMs } = JSON.parse(body) as { type: string; reconnectAfterMs: number }
      if (type !== 'draining' || !other) throw new Error(body)
      const { code } = await session.closed(60_000)
      if (code !== 1012) throw new Error(`closed with ${code}`)
      await delay(reconnectAfterMs)
      return this.#comeBack(other)
    }
  }
}

test('drain: 1,000 sessions move to the other gateway, and nothing is lost or repeated', { timeout: 300_000 }, async () => {
  const at = new Map<string, number[]>()
  const onLine = (line: string) => {
    const { msg, time } = JSON.parse(line) as { msg: string; time: number }
    at.set(msg, [...(at.get(msg) ?? []), time])
  }
  const [leaving, staying] = await Promise.all([
    bed.gateway({ DRAIN_SECONDS: String(drainMs / 1_000) }, { onLine }),
    bed.gateway(),
  ])
  const browsers = numbers(1, members).map((memberId) => new Browser(Number(memberId)))
  for (let from = 0; from < members; from += 50) {
    await Promise.all(browsers.slice(from, from + 50).map((browser) => browser.open(leaving, staying)))
  }
  let rounds = 0
  const publishing = { on: true }
  const publisher = (async () => {
    while (publishing.on) {
      rounds++
      for (let from = 0; from < members; from += 100) {
        const some = browsers.slice(from, from + 100)
        await Promise.all(
          some.map(({ memberId }) => bed.publisher.publish(`member:${memberId}:notification`, String(rounds), 1_000)),
        )
      }
      await delay(100) // a steady load, not all that the machine can do
    }
  })()
  await waitFor(() => rounds > 2, { what: 'publications to go on', deadlineMs: 20_000 })
  void leaving.kill('SIGTERM')
  expect(await leaving.exited).toEqual({ code: 0, signal: null })
  // Counted here: an attempt that failed may have left the gateway a socket.
  const back = () => browsers.every(({ recovered, failure }) => recovered > 0 || failure !== undefined)
  await waitFor(back, { what: 'all to be back', deadlineMs: 120_000 })
  publishing.on = false
  await publisher
  const all = numbers(1, rounds)
  expect(browsers.filter(({ failure }) => failure !== undefined).map(({ failure }) => failure)).toEqual([])
  await waitFor(() => browsers.every(({ received }) => received.length >= rounds), { what: 'the last one', deadlineMs: 60_000 })
  for (const { received } of browsers) expect(received).toEqual(all)
  expect(browsers.every(({ recovered }) => recovered === 1)).toBe(true)
  // Spread evenly, by the gateway's own clock: nobody before its turn, and few together. A busy machine makes some late.
  const stopping = at.get('stopping')?.[0] ?? 0
  const closes = at.get('session closed')?.map((time) => time - stopping) ?? []
  expect(closes).toHaveLength(members)
  const early = closes.filter((ms, index) => ms < (index * drainMs) / members - 100)
  expect(early).toEqual([])
  expect(new Set(closes.map((ms) => Math.floor(ms / 100))).size).toBeGreaterThan(10)
})

test('an empty gateway stops at once', async () => {
  const gateway = await bed.gateway({ DRAIN_SECONDS: '60' })
  expect(await gateway.stop(20_000)).toEqual({ code: 0, signal: null })
})

test('a socket that does not answer its close does not hold the process', async () => {
  const gateway = await bed.gateway({ DRAIN_SECONDS: '1' })
  const session = await connected(gateway)
  session.socket.pause()
  expect(await gateway.stop(20_000)).toEqual({ code: 0, signal: null })
})

test('whoever comes through the handshake while the drain begins is sent away as well', async () => {
  const gateway = await bed.gateway({ DRAIN_SECONDS: '1' })
  await connected(gateway)
  const coming = { on: true }
  const comers: Promise<unknown>[] = []
  const knocking = (async () => {
    while (coming.on) {
      const answer = openRawSession(gateway.url, { token: memberToken(2) }).catch(() => undefined)
      comers.push(answer)
      await new Promise(setImmediate)
      if (comers.length % 50 === 0) await answer
    }
  })()
  await waitFor(() => comers.length > 20, { what: 'knocking', deadlineMs: 20_000 })
  const exit = await gateway.stop(20_000)
  coming.on = false
  await knocking
  await Promise.all(comers)
  expect(exit).toEqual({ code: 0, signal: null })
})

test('a second signal ends the process without waiting', async () => {
  const gateway = await bed.gateway({ DRAIN_SECONDS: '600' })
  const sessions = await Promise.all(numbers(1, 20).map((memberId) => connected(gateway, { memberId: Number(memberId) })))
  void gateway.kill('SIGTERM')
  await Promise.race(sessions.map((session) => session.closed()))
  void gateway.kill('SIGTERM')
  await gateway.exited
})

test('one with a frame still in hand is closed like the others', async () => {
  const gateway = await bed.gateway({ DRAIN_SECONDS: '1' })
  const session = await connected(gateway)
  bed.redis.pause()
  try {
    sendFrame(session, 'SUBSCRIBE', { id: '0', destination: '/topic/waiting', receipt: 'r' })
    expect(await gateway.stop(20_000)).toEqual({ code: 0, signal: null })
    expect((await session.closed()).code).toBe(1012)
  } finally {
    bed.redis.resume()
  }
})
