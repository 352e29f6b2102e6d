import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { ServiceProcess } from '@tidings/local'
import { Redis } from 'ioredis'
import { testFaults } from './chaos/fault.ts'
import { moveSlot } from './chaos/slot.ts'

testFaults('chaos', [
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
      await world.accepted(30)
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
      for (const link of world.links.databases) link.cut()
      await delay(2_000)
      for (const link of world.links.databases) link.restore()
    },
  },
  {
    name: 'each device drops its connection five times',
    long: true,
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
      await world.configure('maxmemory', '1')
      await delay(3_000)
      await world.configure('maxmemory', '0')
    },
  },
  {
    name: 'Redis refuses writes for 3 s (min-replicas-to-write)',
    long: true,
    async inject(world) {
      await world.configure('min-replicas-to-write', '1')
      await delay(3_000)
      await world.configure('min-replicas-to-write', '0')
    },
  },
  {
    name: 'rolling restart of the notify-apis',
    long: true,
    async inject(world) {
      for (const index of [0, 1]) {
        await (world.apis[index] as ServiceProcess).stop()
        await world.restart(world.apis, index)
      }
    },
  },
  {
    name: 'the database is read-only for 3 s',
    long: true,
    world: { database: 'own' },
    async inject(world) {
      await world.query('SET GLOBAL read_only = 1')
      await Promise.all(world.apis.map((api) => world.readiness(api, false)))
      await delay(3_000)
      await world.query('SET GLOBAL read_only = 0')
      await Promise.all(world.apis.map((api) => world.readiness(api, true)))
    },
  },
  {
    name: 'Redis refuses the channels of one member to the gateways for 3 s',
    long: true,
    world: { acl: true },
    async inject(world) {
      const others = world.devices.filter(({ memberId }) => memberId !== 3).map(({ memberId }) => `&member:${memberId}:*`)
      await world.permit(['&broadcast:*', '&gateway:*', ...new Set(others)])
      await delay(3_000)
      await world.permit()
    },
  },
  {
    name: 'failover to a replica whose clock is a minute behind',
    long: true,
    world: { redisAheadMs: 60_000 },
    async inject(world) {
      const replica = await world.addReplica()
      await world.redis.kill()
      await world.promote(replica)
    },
  },
  {
    name: 'failover to a replica whose clock is a minute behind and which lacks the last writes; quiet members',
    long: true,
    told: true,
    world: { quiet: true, redisAheadMs: 60_000 },
    async inject(world) {
      await world.accepted(30)
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
    name: 'Redis evicts keys and refuses writes for 3 s (maxmemory, allkeys-random)',
    long: true,
    async inject(world) {
      await world.configure('maxmemory-policy', 'allkeys-random')
      await world.configure('maxmemory', '1')
      await delay(3_000)
      await world.configure('maxmemory', '0')
    },
  },
  {
    name: 'Cluster: a shard does not reply for 8 s',
    long: true,
    world: { cluster: true },
    async inject(world) {
      const [, shard] = world.cluster.masters
      shard?.pause()
      await delay(8_000)
      shard?.resume()
    },
  },
  {
    name: 'Cluster: kill -9 a shard, back empty after 5 s',
    long: true,
    told: true,
    world: { cluster: true },
    async inject(world) {
      await world.cluster.masters[1]?.kill()
      await delay(5_000)
      await world.cluster.restartMaster(1)
    },
  },
  {
    name: 'Cluster: the slots of five members are moved in place',
    long: true,
    world: { cluster: true },
    async inject(world) {
      for (let memberId = 1; memberId <= 5; memberId++) {
        await moveSlot(world.cluster.url, `member:${memberId}:notification`)
        await world.accepted(20)
      }
    },
  },
])
