import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { freePort } from './free-port.ts'
import { type OwnedProcess, spawnOwned } from './owned-process.ts'
import { waitFor } from './wait-for.ts'

/** Three masters that share the slots, with one replica each on request. */
export interface RedisCluster {
  readonly url: string
  /** The current processes: another one after `restartMaster`. */
  readonly masters: readonly OwnedProcess[]
  /** Starts a master that was killed again, empty, on its port. */
  restartMaster(index: number): Promise<void>
  /** Pauses all replicas and closes their connections: they miss all later writes. */
  leaveReplicasBehind(): Promise<void>
  /** Resumes all replicas, which then replace masters that are away. */
  resumeReplicas(): void
  close(): Promise<void>
}

export interface RedisClusterOptions {
  readonly replicas?: boolean
  /** Further command line options of each node. */
  readonly flags?: readonly string[]
}

interface NodeOptions {
  readonly port: number
  readonly directory: string
  readonly nodeTimeoutMs: number
  readonly flags: readonly string[]
}

export async function startRedisCluster({ replicas = false, flags = [] }: RedisClusterOptions = {}): Promise<RedisCluster> {
  const count = replicas ? 6 : 3
  // Short when replicas are to take over; otherwise long, so that a slow node is not declared dead.
  const nodeTimeoutMs = replicas ? 2_000 : 15_000
  const nodes: { port: number; process: OwnedProcess; redis: Redis; directory: string }[] = []
  while (nodes.length < count) {
    const port = await freePort()
    const directory = mkdtempSync(join(tmpdir(), 'tidings-cluster-'))
    const owned = launch({ port, directory, nodeTimeoutMs, flags })
    // The cluster bus listens on port + 10000: when that is taken, try another port.
    if (!(await ready(owned).catch(() => false))) continue
    const redis = new Redis(port, '127.0.0.1', { retryStrategy: () => 100, maxRetriesPerRequest: null })
    redis.on('error', () => {})
    nodes.push({ port, process: owned, redis, directory })
  }
  const [first] = nodes as [(typeof nodes)[0], ...typeof nodes]
  const bounds = [0, 5_461, 10_923, 16_384]
  for (const [index, { redis }] of nodes.slice(0, 3).entries()) {
    await redis.call('CLUSTER', 'ADDSLOTSRANGE', bounds[index] as number, (bounds[index + 1] as number) - 1)
    await redis.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1)
  }
  for (const { port } of nodes.slice(1)) await first.redis.call('CLUSTER', 'MEET', '127.0.0.1', port)
  const knows = async (redis: Redis) => String(await redis.call('CLUSTER', 'INFO')).includes(`cluster_known_nodes:${count}`)
  await waitFor(async () => (await Promise.all(nodes.map(({ redis }) => knows(redis)))).every(Boolean), {
    what: 'every node to know all nodes',
    deadlineMs: 20_000,
  })
  for (const [index, { redis }] of nodes.slice(3).entries()) {
    await redis.call('CLUSTER', 'REPLICATE', String(await nodes[index]?.redis.call('CLUSTER', 'MYID')))
  }
  await waitFor(async () => (await Promise.all(nodes.map(({ redis }) => whole(redis)))).every(Boolean), {
    what: 'the cluster',
    deadlineMs: 20_000,
  })
  for (const { redis } of nodes.slice(3)) {
    await waitFor(async () => (await redis.info('replication')).includes('master_link_status:up'), {
      what: 'replication',
      deadlineMs: 20_000,
    })
  }
  return {
    url: nodes.map(({ port }) => `redis://127.0.0.1:${port}`).join(','),
    get masters() {
      return nodes.slice(0, 3).map(({ process: each }) => each)
    },
    async restartMaster(index) {
      const node = nodes[index] as (typeof nodes)[0]
      node.process = launch({ port: node.port, directory: node.directory, nodeTimeoutMs, flags })
      await ready(node.process)
    },
    async leaveReplicasBehind() {
      for (const { process: each } of nodes.slice(3)) each.pause()
      for (const { redis } of nodes.slice(0, 3)) await redis.call('CLIENT', 'KILL', 'TYPE', 'replica')
    },
    resumeReplicas() {
      for (const { process: each } of nodes.slice(3)) each.resume()
    },
    async close() {
      for (const { redis } of nodes) redis.disconnect()
      await Promise.all(nodes.map(({ process: each }) => each.kill()))
      for (const { directory } of nodes) rmSync(directory, { recursive: true, force: true })
    },
  }
}

async function whole(redis: Redis): Promise<boolean> {
  return String(await redis.call('CLUSTER', 'INFO')).includes('cluster_state:ok')
}

function launch({ port, directory, nodeTimeoutMs, flags }: NodeOptions): OwnedProcess {
  return spawnOwned({
    name: `redis ${port}`,
    command: 'redis-server',
    args: `--port ${port} --bind 127.0.0.1 --cluster-enabled yes --cluster-node-timeout ${nodeTimeoutMs} --cluster-replica-validity-factor 0 --appendonly no --save`
      .split(' ')
      .concat('', '--dir', directory, flags),
    temporaryDirectory: directory,
  })
}

function ready(node: OwnedProcess): Promise<boolean> {
  return node.firstLine((line) => (/ready to accept connections/i.test(line) ? true : undefined), 20_000)
}
