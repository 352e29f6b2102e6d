import type { Readiness } from '@tidings/chassis'
import type { Metrics } from './metrics.ts'
import type { Publisher } from './outbox/redis-publisher.ts'
import type { Database } from './database/database.ts'

/** Ready means: MySQL and Redis answer. */
export function readiness({ database, publisher, metrics }: { database: Database; publisher: Publisher; metrics: Metrics }) {
  return async (): Promise<Readiness> => {
    const [mysql, redis] = await Promise.allSettled([database.ping(), publisher.ping()])
    if (redis.status === 'fulfilled') metrics.redisLag.set(redis.value)
    return { failing: [...(mysql.status === 'rejected' ? ['mysql'] : []), ...(redis.status === 'rejected' ? ['redis'] : [])] }
  }
}
