import { openLog } from '@tidings/chassis'
import { RedisPublisher } from '@tidings/notify-api/outbox/redis-publisher'
import { startRedis, startService } from '@tidings/local'
import { broadcastChannel, memberChannel } from '@tidings/protocol'
import { pinServer } from '../measure/pin.ts'
import { type Environment, newDatabase, stopAll, type System, type SystemKind } from './system.ts'

const publishTimeoutMs = 5_000

export const tidings: SystemKind = { name: 'Tidings', version: 'this repository', start: startTidings }

/** Both services with their defaults. Publications past the API are appended to the history, as notify-api does. */
async function startTidings(environment: Environment): Promise<System> {
  const redis = await startRedis()
  const api = await startService('notify-api', { MYSQL_URL: await newDatabase(environment), REDIS_URL: redis.url })
  const gateway = await startService('realtime-gateway', { REDIS_URL: redis.url, NOTIFY_API_URL: api.url })
  for (const { pid } of [api, gateway]) pinServer(pid)
  const publisher = new RedisPublisher(
    { url: redis.url, prefix: '' },
    { timeoutMs: publishTimeoutMs, log: openLog('bench', 'error'), onPublish() {} },
  )
  await publisher.untilConnected()
  return {
    name: 'Tidings',
    endpoint: { wire: 'stomp', port: gateway.port },
    gateway,
    services: [gateway, api],
    redis,
    postUrl: api.url,
    async publish(target, body) {
      const result = await publisher.publish(
        target === 'all' ? broadcastChannel('all') : memberChannel(target, 'notification'),
        body,
      )
      if (typeof result !== 'number') throw new Error(`not published: ${JSON.stringify(result)}`)
    },
    async stop() {
      publisher.close()
      await stopAll(gateway, api)
      await redis.stop()
    },
  }
}
