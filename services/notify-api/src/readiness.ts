import type { Readiness } from '@tidings/chassis'
import type { Database } from './database/database.ts'
import type { Metrics } from './metrics.ts'
import type { Publisher } from './outbox/redis-publisher.ts'

/**
 * Returns the readiness check of a started service: it fails while MySQL does not reply or accepts no writes. Redis is only `degraded`: posts are accepted
 * without it, so the instance must keep its traffic.
 */
export function readiness({ database, publisher, metrics }: { database: Database; publisher: Publisher; metrics: Metrics }) {
  return async (): Promise<Readiness> => {
    const [mysql, redis] = await Promise.allSettled([database.checkWritable(), publisher.ping()])
    if (redis.status === 'fulfilled') metrics.redisLag.set(redis.value)
    return { failing: mysql.status === 'rejected' ? ['mysql'] : [], degraded: redis.status === 'rejected' ? ['redis'] : [] }
  }
}
