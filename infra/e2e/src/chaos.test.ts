import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { expect, test } from 'vitest'
import type { ServiceProcess } from '@tidings/local'
import { World, type WorldOptions } from './chaos/world.ts'

interface Fault {
  readonly name: string
  readonly world?: Omit<WorldOptions, 'run'>
  /** True where the history cannot have survived, so that devices must be told. */
  readonly told?: boolean
  /**
   * The order of posts to one member is not asserted: the instance that accepted a post may have died before it published it, and after an
   * outage of Redis each notify-api publishes its own backlog.
   */
  readonly unordered?: boolean
  /** Only in the long form, `TIDINGS_LONG=1`. */
  readonly long?: boolean
  readonly inject: (world: World) => Promise<void>
}

const faults: readonly Fault[] = [
  { name: 'no fault', long: true, inject: async (world) => world.accepted(100) },
  {
    name: 'kill -9 a gateway',
    async inject(world) {
      await (world.gateways[0] as ServiceProcess).kill()
      await world.accepted(60)
      await world.restart(world.gateways, 0)
    },
  },
  {
    name: 'kill -9 a notify-api, twice',
    async inject(world) {
      for (let round = 0; round < 2; round++) {
        await (world.apis[round % 2] as ServiceProcess).kill()
        await world.restart(world.apis, round % 2)
        await world.accepted(20)
      }
    },
  },
  {
    name: 'SIGSTOP a gateway for 4 s',
    long: true,
    async inject(world) {
      world.gateways[0]?.pause()
      await delay(4_000)
      world.gateways[0]?.resume()
    },
  },
  {
    name: 'kill -9 Redis, back empty',
    told: true,
    async inject(world) {
      await world.redis.kill()
      await delay(1_500)
      await world.redis.restart()
    },
  },
  {
    name: 'kill -9 Redis, back with its append-only file',
    long: true,
    world: { redisDirectory: mkdtempSync(join(tmpdir(), 'tidings-chaos-')) },
    async inject(world) {
      await world.redis.kill()
      await delay(1_500)
      await world.redis.restart()
    },
  },
  {
    name: 'gateways cut off from Redis, which comes back empty; quiet members',
    world: { quiet: true },
    told: true,
    async inject(world) {
      world.links.gatewayRedis.cut()
      await world.accepted(20)
      await world.redis.kill()
      await world.redis.restart()
      world.links.gatewayRedis.restore()
    },
  },
  {
    name: 'histories evicted while devices are away; quiet members',
    world: { quiet: true },
    async inject(world) {
      const admin = new Redis(world.redis.url)
      for (const device of world.devices) device.leave()
      await world.accepted(20)
      await admin.config('SET', 'maxmemory-policy', 'allkeys-random')
      await admin.config('SET', 'maxmemory', '1')
      await admin.set('evicts', 'all others').catch(() => {}) // refused: not even this key fits
      await admin.config('SET', 'maxmemory', '0')
      admin.disconnect()
      for (const device of world.devices) device.comeBack()
    },
  },
  {
    name: 'kill -9 Redis, back empty, while devices are away; quiet members',
    long: true,
    world: { quiet: true },
    told: true,
    async inject(world) {
      for (const device of world.devices) device.leave()
      await world.accepted(20)
      await world.redis.restart()
      for (const device of world.devices) device.comeBack()
    },
  },
  {
    name: 'failover to a replica that lacks the last writes; quiet members',
    world: { quiet: true },
    told: true,
    async inject(world) {
      await world.accepted(60)
      const replica = await world.addReplica()
      for (const device of world.devices) device.leave()
      replica.pause()
      await world.accepted(20)
      await world.redis.kill()
      replica.resume()
      await world.promote(replica)
      for (const device of world.devices) device.comeBack()
    },
  },
  {
    name: 'links of the gateways to Redis cut ten times',
    long: true,
    async inject(world) {
      for (let round = 0; round < 10; round++) {
        world.links.gatewayRedis.cut()
        world.links.gatewayRedis.restore()
        await delay(200)
      }
    },
  },
  {
    name: 'gateways cannot reach Redis for 5 s: connections stay open and pass nothing',
    long: true,
    async inject(world) {
      world.links.gatewayRedis.blackhole()
      await delay(5_000)
      world.links.gatewayRedis.restore({ forget: true })
    },
  },
  {
    name: 'the database is cut off for 2 s',
    long: true,
    async inject(world) {
      world.links.database.cut()
      await delay(2_000)
      world.links.database.restore()
    },
  },
  {
    name: 'each device drops its connection five times',
    async inject(world) {
      for (let round = 0; round < 5; round++) {
        for (const device of world.devices) device.leave()
        await world.accepted(10)
        for (const device of world.devices) device.comeBack()
        await world.accepted(20)
      }
    },
  },
  {
    name: 'rolling restart of the gateways',
    long: true,
    async inject(world) {
      for (const index of [0, 1]) {
        await (world.gateways[index] as ServiceProcess).stop()
        await world.restart(world.gateways, index)
      }
    },
  },
  {
    name: 'SIGSTOP Redis for 3 s',
    long: true,
    async inject(world) {
      world.redis.pause()
      await delay(3_000)
      world.redis.resume()
    },
  },
  {
    name: 'failover to a replica that has everything',
    long: true,
    async inject(world) {
      const replica = await world.addReplica()
      await world.redis.kill()
      await delay(1_000)
      await world.promote(replica)
    },
  },
  {
    name: 'Redis is full for 3 s (maxmemory, noeviction)',
    long: true,
    async inject(world) {
      const admin = new Redis(world.redis.url)
      await admin.config('SET', 'maxmemory', '1')
      await delay(3_000)
      await admin.config('SET', 'maxmemory', '0')
      admin.disconnect()
    },
  },
  {
    name: 'Redis refuses writes for 3 s (min-replicas-to-write)',
    long: true,
    async inject(world) {
      const admin = new Redis(world.redis.url)
      await admin.config('SET', 'min-replicas-to-write', '1')
      await delay(3_000)
      await admin.config('SET', 'min-replicas-to-write', '0')
      admin.disconnect()
    },
  },
  {
    name: 'rolling restart of the notify-apis',
    async inject(world) {
      for (const index of [0, 1]) {
        await (world.apis[index] as ServiceProcess).stop()
        await world.restart(world.apis, index)
      }
    },
  },
]

const long = process.env['TIDINGS_LONG'] === '1'

for (const [run, { name, world: options, told, unordered, inject }] of faults.filter((fault) => long || !fault.long).entries()) {
  test(name, { timeout: 180_000 }, async () => {
    const world = await World.open({ run, ...options })
    try {
      const verdict = await world.run(() => inject(world))
      const { accepted, refused, lost, doubled, misdelivered, outOfOrder, recoveredMs, unready, unexpected } = verdict
      console.log(
        `${name}: ${accepted} accepted, ${refused} refused, ${lost} lost, ${doubled} doubled, ${misdelivered} misdelivered, ` +
          `${outOfOrder} out of order, ${verdict.told} told, recovered after ${(recoveredMs / 1_000).toFixed(1)} s, not ready ${unready}`,
      )
      expect({ lost, doubled, misdelivered, outOfOrder: unordered ? 0 : outOfOrder, unexpected }).toEqual({
        lost: 0,
        doubled: 0,
        misdelivered: 0,
        outOfOrder: 0,
        unexpected: [],
      })
      if (told) expect(verdict.told).toBeGreaterThan(0)
    } finally {
      await world.close()
      if (options?.redisDirectory) rmSync(options.redisDirectory, { recursive: true, force: true })
    }
  })
}
