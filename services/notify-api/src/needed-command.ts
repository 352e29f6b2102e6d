import { isCluster, type RedisCommand, type RedisTarget, runKey } from '@tidings/chassis'
import { controlChannel, historyKey, memberChannel, revocationKey } from '@tidings/protocol'

/** No member has this id. */
const noMember = 0

/**
 * Returns the commands of Redis that this service needs, its scripts included, each with keys of the kinds that it uses. Of channels only
 * its own: an ACL may permit those of some members and topics, and the outbox reports the others.
 */
export function neededCommands({ url, prefix }: RedisTarget): RedisCommand[] {
  const cluster = isCluster(url)
  const channel = memberChannel(noMember, 'task')
  const history = historyKey(channel, prefix)
  const task = `{${prefix}${channel}}:task`
  const run = runKey(cluster, channel, prefix)
  const control = historyKey(controlChannel, prefix)
  const revocations = revocationKey(prefix)
  return [
    ['eval', 'return 0', '3', history, task, run],
    ['evalsha', '0'.repeat(40), '3', history, task, run],
    ['ping'],
    ['info', 'server'],
    ['time'],
    ['get', run],
    ['set', history, ''],
    ['del', history],
    ['exists', history],
    ['expire', control, '1'],
    ['lindex', history, '-1'],
    ['llen', history],
    ['lrange', history, '0', '-1'],
    ['ltrim', history, '0', '-1'],
    ['rpush', history, ''],
    ['rpushx', `{${prefix}${channel}}:none`, ''],
    ['rpop', history],
    ['hget', task, ''],
    ['hmget', task, ''],
    ['hset', task, '', ''],
    ['hdel', task, ''],
    ['hexists', revocations, ''],
    ['xadd', history, '*', '', ''],
    ['xread', 'streams', `${prefix}task:ended`, '0'],
    [cluster ? 'spublish' : 'publish', prefix + controlChannel, ''],
    ['pubsub', cluster ? 'shardnumsub' : 'numsub', prefix + channel],
  ]
}
