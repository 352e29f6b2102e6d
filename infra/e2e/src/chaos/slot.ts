import { Redis } from 'ioredis'

/** Moves the slot of a key, with its keys, from its node of a Cluster to the next one. */
export async function moveSlot(clusterUrl: string, key: string): Promise<void> {
  const nodes = await Promise.all(
    clusterUrl.split(',').map(async (url) => {
      const redis = new Redis(url)
      return { redis, port: Number(new URL(url).port), id: await redis.cluster('MYID') }
    }),
  )
  try {
    const [first] = nodes as [(typeof nodes)[0]]
    const slot = await first.redis.cluster('KEYSLOT', key)
    const owner = (await first.redis.cluster('SLOTS')).find(([begin, end]) => begin <= slot && slot <= end)?.[2]?.[2]
    const at = nodes.findIndex(({ id }) => id === owner)
    const [from, to] = [nodes[at], nodes[(at + 1) % nodes.length]] as [(typeof nodes)[0], (typeof nodes)[0]]
    await to.redis.cluster('SETSLOT', slot, 'IMPORTING', from.id)
    await from.redis.cluster('SETSLOT', slot, 'MIGRATING', to.id)
    for (;;) {
      const keys = await from.redis.cluster('GETKEYSINSLOT', slot, 100)
      if (keys.length === 0) break
      await from.redis.call('MIGRATE', '127.0.0.1', to.port, '', 0, 5_000, 'KEYS', ...keys)
    }
    for (const { redis } of [to, from]) await redis.cluster('SETSLOT', slot, 'NODE', to.id)
  } finally {
    for (const { redis } of nodes) redis.disconnect()
  }
}
