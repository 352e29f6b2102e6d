import { Redis } from 'ioredis'
import { startRedis } from '@tidings/local'
import { type Environment, newDatabase, startProgram, stopAll, type System, type SystemKind, type SystemName } from './system.ts'

/** A bare Node `ws` server on Redis Pub/Sub that writes one prebuilt frame; posts: one INSERT and one PUBLISH for each request. */
export const floor: SystemKind = {
  name: 'floor',
  version: 'ws and ioredis of this repository',
  start: (environment) => startFloor('floor', environment, {}),
}

/** The same server, but with `ws.send` for each session. */
export const naive: SystemKind = {
  name: 'naive ws.send',
  version: 'ws and ioredis of this repository',
  start: (environment) => startFloor('naive ws.send', environment, { FRAMES: 'naive' }),
}

async function startFloor(name: SystemName, environment: Environment, env: NodeJS.ProcessEnv): Promise<System> {
  const redis = await startRedis()
  const gateway = await startProgram('floor-gateway', { ...env, REDIS_URL: redis.url })
  const api = await startProgram('naive-api', { REDIS_URL: redis.url, MYSQL_URL: await newDatabase(environment) })
  const publisher = new Redis(redis.url)
  return {
    name,
    endpoint: { wire: 'stomp', port: gateway.port },
    gateway: gateway.process,
    services: [gateway.process, api.process],
    redis,
    postUrl: `http://127.0.0.1:${api.port}`,
    publish: (target, body) => publisher.publish(target === 'all' ? 'broadcast:all' : `member:${target}:notification`, body),
    async stop() {
      publisher.disconnect()
      await stopAll(gateway.process, api.process)
      await redis.stop()
    },
  }
}
