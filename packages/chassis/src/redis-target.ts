import type { z } from 'zod'
import { refusalOfServerUrl } from './url-setting.ts'

/** Where Redis is, and what precedes every channel and key of this environment in it. */
export interface RedisTarget {
  /** See `connectRedis`. */
  readonly url: string
  /** Empty, or CHANNEL_PREFIX and a colon. */
  readonly prefix: string
}

/**
 * Returns the target that the environment configures. Adds an issue to `context` for a URL that `connectRedis` does not take, and for a database number other than 0 without a prefix:
 * Redis ignores the number for Pub/Sub, so that two environments on one server would deliver to each other's members.
 */
export function redisTarget(
  { REDIS_URL: url, CHANNEL_PREFIX: name }: { readonly REDIS_URL: string; readonly CHANNEL_PREFIX?: string | undefined },
  context: z.RefinementCtx,
): RedisTarget {
  const refuse = (message: string) => context.addIssue({ code: 'custom', path: ['REDIS_URL'], message })
  const refusal = refusalOf(url)
  if (refusal !== undefined) refuse(refusal)
  const prefix = name === undefined ? '' : `${name}:`
  const database =
    prefix === ''
      ? url
          .split(',')
          .map(databaseOf)
          .find((number) => number > 0)
      : undefined
  if (database !== undefined)
    refuse(`has the database number ${database}, which Redis ignores for Pub/Sub: set CHANNEL_PREFIX, or use database 0`)
  return { url, prefix }
}

const schemes = ['redis', 'rediss', 'redis+sentinel', 'rediss+sentinel']
const sentinelForm = 'must be redis+sentinel://[user:password@]host:port,host:port/master-name'

function refusalOf(url: string): string | undefined {
  const [sentinelScheme] = /^rediss?\+sentinel(?=:\/\/)/.exec(url) ?? []
  if (sentinelScheme === undefined) {
    const refusals = url.split(',').map((node) => refusalOfServerUrl(node.trim(), schemes))
    return refusals.find((refusal) => refusal !== undefined)
  }
  const [, user = '', hosts = ''] = /^[^/]+:\/\/([^@/]*@)?([^/@?#]+)\/[^/?#]+(?:\?[^#]*)?$/.exec(url) ?? []
  const nodes = hosts.split(',')
  if (nodes.some((node) => node === '' || !URL.canParse(`redis://${node}`))) return sentinelForm
  return refusalOfServerUrl(`${sentinelScheme}://${user}${nodes[0]}`, [sentinelScheme])
}

/** Reads `redis://host:port/<number>`, and `?db=<number>` of any URL. */
function databaseOf(url: string): number {
  return Number(/[?&]db=(\d+)/.exec(url)?.[1] ?? /^(?:rediss?:)?\/\/[^/]*\/(\d+)/i.exec(url)?.[1] ?? 0)
}
