import type { Readiness, RedisPermissions } from '@tidings/chassis'
import type { Database } from './database/database.ts'
import type { Metrics } from './metrics.ts'
import type { Outbox } from './outbox/outbox.ts'
import type { Publisher } from './outbox/redis-publisher.ts'

export interface ReadinessDeps {
  readonly database: Database
  readonly publisher: Publisher
  readonly permissions: Pick<RedisPermissions, 'refused'>
  readonly outbox: Pick<Outbox, 'circuitOpen'>
  readonly metrics: Metrics
}

/**
 * Returns the readiness check of a started service: it fails while MySQL does not reply or accepts no writes. Redis is only `degraded`: posts are accepted
 * without it, so the instance must keep its traffic.
 */
export function readiness({ database, publisher, permissions, outbox, metrics }: ReadinessDeps) {
  return async (): Promise<Readiness> => {
    const [mysql, redis] = await Promise.allSettled([database.checkWritable(), publisher.ping()])
    if (redis.status === 'fulfilled') metrics.redisLag.set(redis.value)
    const degraded = redis.status === 'rejected' || outbox.circuitOpen || permissions.refused.length > 0
    return { failing: mysql.status === 'rejected' ? ['mysql'] : [], degraded: degraded ? ['redis'] : [] }
  }
}
