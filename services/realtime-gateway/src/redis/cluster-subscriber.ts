import { connectClusterNode, type Log, loggable } from '@tidings/chassis'
import { type Cluster, Command } from 'ioredis'
import { Subscriber, type SubscriberListener } from './subscriber.ts'
import { subscriberOptions } from './subscriber-options.ts'

/** Where the channel is subscribed to, or will be. */
interface Route {
  readonly slot: number
  /** Undefined while no node is known to serve the slot. */
  address: string | undefined
}

export interface ClusterSubscriberOptions {
  readonly url: string
  /** Precedes every channel in Redis. */
  readonly prefix: string
  /** Knows the nodes and their slots, and refreshes this knowledge by itself. Closed by the caller. */
  readonly cluster: Cluster
  readonly listener: SubscriberListener
  readonly log: Log
}

const slotCount = 16_384
/** While a shard is away, the slots are read this often: its replica may take over. */
const refreshEveryMs = 1_000
/** A node that moves slots ends many subscriptions at once: its slots are read once for all of them. */
const gatherMs = 100

/** Keeps one subscriber for each node that serves slots, and each channel at the node that serves its slot (sharded Pub/Sub). */
export class ClusterSubscriber {
  readonly #url: string
  readonly #prefix: string
  readonly #cluster: Cluster
  readonly #listener: SubscriberListener
  readonly #log: Log
  readonly #routes = new Map<string, Route>()
  readonly #subscribers = new Map<string, Subscriber>()
  /** Address of the node that serves each slot. */
  #owners: readonly (string | undefined)[] = []
  readonly #gathering = new Map<string, NodeJS.Timeout>()
  readonly #refresher: NodeJS.Timeout

  constructor({ url, prefix, cluster, listener, log }: ClusterSubscriberOptions) {
    this.#url = url
    this.#prefix = prefix
    this.#cluster = cluster
    this.#listener = listener
    this.#log = log
    cluster.on('refresh', () => this.#assign(cluster.slots.map((nodes) => nodes?.[0])))
    this.#refresher = setInterval(() => this.#refreshIfAway(), refreshEveryMs)
  }

  /** Addresses of the nodes that serve slots. */
  get addresses(): readonly string[] {
    return [...this.#subscribers.keys()]
  }

  /** Returns the address of the node that serves the channel, if it is known. */
  addressOf(channel: string): string | undefined {
    return this.#owners[this.#slotOf(channel)]
  }

  add(channel: string): void {
    const slot = this.#slotOf(channel)
    const address = this.#owners[slot]
    this.#routes.set(channel, { slot, address })
    if (address !== undefined) this.#subscriberAt(address).add(channel)
  }

  remove(channel: string): void {
    const address = this.#routes.get(channel)?.address
    this.#routes.delete(channel)
    if (address !== undefined) this.#subscribers.get(address)?.remove(channel)
  }

  close(): void {
    clearInterval(this.#refresher)
    for (const timer of this.#gathering.values()) clearTimeout(timer)
    for (const subscriber of this.#subscribers.values()) subscriber.close()
    this.#subscribers.clear()
  }

  /** Takes the owners of all slots, and moves the channels whose slot has another owner than before. */
  #assign(owners: readonly (string | undefined)[]): void {
    const moved = new Set<number>()
    for (let slot = 0; slot < slotCount; slot++) if (owners[slot] !== this.#owners[slot]) moved.add(slot)
    if (moved.size === 0) return
    this.#owners = owners
    for (const address of new Set(owners)) if (address !== undefined) this.#subscriberAt(address)
    for (const [channel, route] of this.#routes) if (moved.has(route.slot)) this.#move(channel, route, owners[route.slot])
    this.#closeUnused()
  }

  /** Does nothing for a channel that is there already: each new subscription costs a read of the history. */
  #move(channel: string, route: Route, address: string | undefined): void {
    if (route.address === address) return
    this.#listener.lost([channel])
    if (route.address !== undefined) this.#subscribers.get(route.address)?.remove(channel)
    route.address = address
    if (address !== undefined) this.#subscriberAt(address).add(channel)
  }

  #closeUnused(): void {
    const used = new Set(this.#owners)
    for (const [address, subscriber] of this.#subscribers) {
      if (used.has(address)) continue
      this.#subscribers.delete(address)
      subscriber.close()
    }
  }

  #subscriberAt(address: string): Subscriber {
    let subscriber = this.#subscribers.get(address)
    if (!subscriber) {
      const redis = connectClusterNode(this.#url, address, subscriberOptions)
      const log = this.#log.child({ redis: address })
      subscriber = new Subscriber({ redis, prefix: this.#prefix, sharded: true, log, listener: this.#listenerAt(address) })
      this.#subscribers.set(address, subscriber)
    }
    return subscriber
  }

  #listenerAt(address: string): SubscriberListener {
    return {
      subscribed: (channels) => this.#listener.subscribed(channels),
      received: (channel, payload) => this.#listener.received(channel, payload),
      refused: (channel, error) => {
        const retry = this.#listener.refused(channel, error)
        if (!retry) this.#routes.delete(channel)
        return retry
      },
      moved: (channel, to) => this.#onMoved(channel, to),
      unsubscribed: () => this.#gather(address),
      lost: (channels) => {
        this.#listener.lost(channels)
        this.#cluster.refreshSlotsCache()
      },
    }
  }

  /** Follows the reply of a node: it is newer than the owners that were read before. */
  #onMoved(channel: string, address: string): void {
    const route = this.#routes.get(channel)
    if (!route) return
    const owners = [...this.#owners]
    owners[route.slot] = address
    this.#assign(owners)
    this.#move(channel, route, address)
  }

  /** A node ended subscriptions, and does not name them: reads from this very node which slots it no longer serves. */
  #gather(address: string): void {
    if (this.#gathering.has(address)) return
    const timer = setTimeout(() => {
      this.#gathering.delete(address)
      void this.#readOwners(address)
    }, gatherMs)
    this.#gathering.set(address, timer)
  }

  /** Other nodes learn of a moved slot later, and would still name the former owner. */
  async #readOwners(address: string): Promise<void> {
    const node = this.#cluster.nodes().find(({ options }) => `${options.host}:${options.port}` === address)
    try {
      const ranges = (await node?.cluster('SLOTS')) ?? []
      const owners = [...this.#owners]
      for (const [first, last, owner] of ranges) if (owner?.[0]) owners.fill(`${owner[0]}:${owner[1]}`, first, last + 1)
      const before = this.#owners
      this.#assign(owners)
      // Moved away and back: the subscriptions are gone, although the owner is the same.
      if (this.#owners === before) this.#subscribers.get(address)?.subscribeAgain()
    } catch (error) {
      this.#log.warn({ err: loggable(error), redis: address }, 'slots not read')
      this.#subscribers.get(address)?.subscribeAgain()
    }
  }

  #refreshIfAway(): void {
    for (const { connected } of this.#subscribers.values()) if (!connected) return this.#cluster.refreshSlotsCache()
  }

  #slotOf(channel: string): number {
    return new Command('ssubscribe', [this.#prefix + channel]).getSlot()
  }
}
