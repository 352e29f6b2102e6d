import { isCluster, type RedisCommand, type RedisTarget, runKey } from '@tidings/chassis'
import { historyKey, memberChannel, replyKey, revocationKey } from '@tidings/protocol'

/** No member has this id. */
const noMember = 0

/**
 * Returns the commands of Redis that this service needs, its scripts included, each with keys or a channel of the kinds that it uses. Those
 * that subscribe are left out: a refusal of them is reported by the broker.
 */
export function neededCommands({ url, prefix }: RedisTarget): RedisCommand[] {
  const cluster = isCluster(url)
  const channel = memberChannel(noMember, 'notification')
  const history = historyKey(channel, prefix)
  const run = runKey(cluster, channel, prefix)
  const canary = 'gateway:canary:0'
  const canaryHistory = historyKey(canary, prefix)
  const reply = replyKey('0', prefix)
  return [
    ['eval', 'return 0', '2', history, run],
    ['evalsha', '0'.repeat(40), '2', history, run],
    ['ping'],
    ['exec'],
    ['info', 'server'],
    ['time'],
    ['get', run],
    ['set', history, ''],
    ['lindex', history, '-1'],
    ['llen', history],
    ['lrange', history, '0', '-1'],
    ['ltrim', canaryHistory, '0', '-1'],
    ['rpush', reply, ''],
    ['expire', reply, '1'],
    ['hscan', revocationKey(prefix), '0'],
    [cluster ? 'spublish' : 'publish', prefix + canary, ''],
  ]
}
