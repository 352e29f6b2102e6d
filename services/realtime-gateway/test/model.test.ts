import { randomInt } from 'node:crypto'
import { freeServicePort, type ServiceProcess, waitFor } from '@tidings/local'
import { expect, onTestFinished, test } from 'vitest'
import { numbers, openBed } from './fixture/gateway.ts'
import { ModelSubscriber, random } from './fixture/model.ts'

const long = process.env['TIDINGS_LONG'] === '1'
const publications = long ? 20_000 : 2_000
const seeds = (process.env['TIDINGS_SEED'] ?? String(randomInt(1_000_000_000))).split(',').map(Number)
const historyLength = 30_000

/**
 * One member's channel and two gateways, under everything that breaks: afterwards each subscriber has every publication once and in
 * order, and none of another member. A seed decides what happens; when it happens is up to the machine.
 */
test.each(seeds)(
  'whatever breaks, every publication arrives once and in order (TIDINGS_SEED=%i)',
  { timeout: 600_000 },
  async (seed) => {
    const next = random(seed)
    const bed = await openBed()
    onTestFinished(() => bed.close())
    const env = {
      MAX_UNACKED_MESSAGES: '16',
      MAX_FRAMES_PER_SECOND: '10000',
      MAX_SESSIONS_PER_MEMBER: '1000',
      // Whoever was frozen is not ended for it, however long the machine takes.
      HEART_BEAT_MS: '600000',
      MAX_BUFFERED_MS: '600000',
    }
    // It is killed and comes back on its ports, which connections of others must not take meanwhile.
    const start = async () =>
      bed.gateway({ ...env, PORT: String(await freeServicePort()), OPS_PORT: String(await freeServicePort()) })
    const running: (ServiceProcess | undefined)[] = await Promise.all([start(), start()])
    const all = new Set(running)
    onTestFinished(async () => {
      await Promise.all([...all].map(async (gateway) => gateway?.kill()))
    })
    const pick = () => running[Math.floor(next() * 2)] ?? running.find((gateway) => gateway !== undefined)
    const destination = '/member/queue/notification'
    const subscribers = (['auto', 'auto', 'client', 'client-individual'] as const).map(
      (ack) => new ModelSubscriber({ memberId: 1, destination, ack, pick }),
    )
    const neighbour = new ModelSubscriber({ memberId: 2, destination, ack: 'auto', pick })
    const everybody = [...subscribers, neighbour]
    await Promise.all(everybody.map((subscriber) => subscriber.start()))

    const someone = () => everybody[Math.floor(next() * everybody.length)] as ModelSubscriber
    const cut = async (names: readonly string[]) => {
      const lines = String(await bed.publisher.redis.client('LIST')).split('\n')
      for (const line of lines.filter(
        (each) => names.some((name) => each.includes(`name=realtime-gateway:${name} `)) && next() < 0.7,
      )) {
        await bed.publisher.redis.client('KILL', 'ID', /^id=(\d+)/.exec(line)?.[1] ?? '')
      }
    }
    let restarting: Promise<void> | undefined
    const killGateway = async () => {
      const index = Math.floor(next() * 2)
      const victim = running[index]
      if (!victim || restarting) return
      running[index] = undefined
      restarting = (async () => {
        await victim.kill()
        const again = await victim.again()
        all.add(again)
        running[index] = again
        restarting = undefined
      })()
    }
    const events: (() => void | Promise<void>)[] = [
      () => someone().drop(),
      () => someone().drop(),
      () => someone().leave(),
      () => someone().resubscribe(),
      () => someone().resubscribe(),
      () => someone().freeze(),
      () => everybody.forEach((subscriber) => subscriber.read()),
      () => cut(['subscriber']),
      () => cut(['subscriber', 'history']),
      () => cut(['history']),
      killGateway,
    ]

    let published = 0
    while (published < publications) {
      const burst = Math.min(1 + Math.floor(next() ** 2 * 60), publications - published)
      const answers = numbers(published + 1, published + burst).flatMap((body) => [
        bed.publisher.publish('member:1:notification', body, historyLength),
        bed.publisher.publish('member:2:notification', `neighbour ${body}`, historyLength),
      ])
      published += burst
      if (next() < 0.5) await Promise.all(answers)
      if (next() < 0.5) await events[Math.floor(next() * events.length)]?.()
      await Promise.all(answers)
    }
    await restarting
    for (const subscriber of everybody) subscriber.read()
    const complete = () => everybody.every(({ received }) => received.length >= publications)
    await waitFor(complete, { what: 'the last publication', deadlineMs: 180_000 }).catch(() => {}) // the comparison says more
    // One more goes through all: nothing can be behind it.
    await bed.publisher.publish('member:1:notification', 'end', historyLength)
    await bed.publisher.publish('member:2:notification', 'neighbour end', historyLength)
    const ended = () => everybody.every(({ received }) => received.at(-1)?.endsWith('end'))
    await waitFor(ended, { what: 'the end', deadlineMs: 60_000 }).catch(() => {})
    for (const subscriber of everybody) subscriber.stop()

    const expected = [...numbers(1, publications), 'end']
    for (const { received, complaints } of subscribers) {
      expect(complaints).toEqual([])
      expect(received).toEqual(expected)
    }
    expect(neighbour.complaints).toEqual([])
    expect(neighbour.received).toEqual(expected.map((body) => `neighbour ${body}`))
  },
)
