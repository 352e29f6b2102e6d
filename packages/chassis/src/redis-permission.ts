import { setTimeout as delay } from 'node:timers/promises'
import { Cluster, type Redis } from 'ioredis'
import type { Log } from './log.ts'
import { Recurring } from './recurring.ts'
import { connectRedis, opened, type RedisConnection } from './redis.ts'
import type { RedisTarget } from './redis-target.ts'

/** The name of a command and its arguments, in lower case. */
export type RedisCommand = readonly [name: string, ...args: string[]]

export interface RedisPermissionOptions {
  readonly connectionName: string
  /** The commands that the service needs. They are not executed: any keys and channels of the kinds that it uses. */
  readonly commands: readonly RedisCommand[]
  readonly log: Log
}

const checkEveryMs = 2_000
/** While the start waits for a permission. */
const retryMs = 1_000
const commandTimeoutMs = 1_000

/**
 * Checks which commands the ACL of Redis refuses to the user of a service. Redis checks the permission when a command is queued in a
 * transaction: here each one is queued, and the transaction is discarded. On a Cluster every master is asked, since each has its own ACL.
 */
export class RedisPermissions {
  readonly #redis: RedisConnection
  readonly #commands: readonly RedisCommand[]
  readonly #log: Log
  readonly #checks: Recurring
  #refused: readonly string[] = []
  #checking: Promise<void> | undefined

  constructor({ url }: RedisTarget, { connectionName, commands, log }: RedisPermissionOptions) {
    this.#commands = commands
    this.#log = log
    // A connection of its own: what else is sent on it in a transaction would be discarded too.
    this.#redis = connectRedis(url, {
      connectionName,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      commandTimeout: commandTimeoutMs,
    })
    this.#redis.on('error', () => {}) // the other connections report it
    this.#redis.on('ready', () => void this.#check())
    const failure = 'the permissions of the redis user cannot be checked'
    this.#checks = new Recurring({ intervalMs: checkEveryMs, run: () => this.#check(), log, failure })
  }

  /** The commands that Redis refused at the last check, with their keys or channels. */
  get refused(): readonly string[] {
    return this.#refused
  }

  /** Checks the commands until none is refused, or Redis does not reply. Calls `onRefused` after each check that finds one. */
  async untilPermitted(onRefused: () => void): Promise<void> {
    await opened(this.#redis)
    for (;;) {
      await this.#check()
      if (this.#refused.length === 0) return
      onRefused()
      await delay(retryMs)
    }
  }

  async close(): Promise<void> {
    await this.#checks.close()
    this.#redis.disconnect()
  }

  /** One check at a time: of two transactions on a connection, the second would be executed. */
  #check(): Promise<void> {
    this.#checking ??= this.#run().finally(() => (this.#checking = undefined))
    return this.#checking
  }

  async #run(): Promise<void> {
    const nodes = this.#redis instanceof Cluster ? this.#redis.nodes('master') : [this.#redis]
    const results = await Promise.allSettled(nodes.map((node) => refusedBy(node, this.#commands)))
    const replies = results.filter((result) => result.status === 'fulfilled')
    // A node that does not reply refuses nothing.
    const refused = [...new Set(replies.flatMap(({ value }) => value))]
    if (replies.length > 0 && refused.join() !== this.#refused.join()) this.#report(refused)
    this.#refused = refused
  }

  #report(refused: readonly string[]): void {
    if (refused.length === 0) this.#log.info('redis permits every command that this service needs')
    else
      this.#log.error(
        { refused },
        'redis refuses commands that this service needs: correct the ACL of its user (infra/privilege)',
      )
  }
}

/** @throws the error of a node that does not reply. */
async function refusedBy(node: Redis, needed: readonly RedisCommand[]): Promise<string[]> {
  const commands = needed.filter(([name]) => name !== 'exec')
  const needsExec = commands.length < needed.length
  // Before the others are sent: without a transaction they would be executed.
  const begun = await errorReply(node, ['multi'])
  if (isDenial(begun)) return ['multi']
  if (begun !== '' && !begun.includes('nested')) throw new Error(begun)
  if (node.status !== 'ready') throw new Error('redis does not reply')
  // EXEC comes last, where there is no transaction; were DISCARD refused, it would be aborted because of that.
  const checked: readonly RedisCommand[] = [...commands, ['discard'], ...(needsExec ? [['exec'] as const] : [])]
  const replies = await Promise.all(checked.map((command) => errorReply(node, command)))
  return checked.filter((_, index) => isDenial(replies[index])).map((command) => command.join(' '))
}

/** Resolves to the text of an error reply, or to an empty text. */
async function errorReply(node: Redis, [name, ...args]: RedisCommand): Promise<string> {
  try {
    await node.call(name, ...args)
    return ''
  } catch (error) {
    const { name: kind, message } = error as Error
    if (kind !== 'ReplyError') throw error
    return message
  }
}

/** Any other error reply comes after the ACL has permitted the command. Of EXEC it begins with EXECABORT. */
function isDenial(reply = ''): boolean {
  return reply.includes('NOPERM ')
}
