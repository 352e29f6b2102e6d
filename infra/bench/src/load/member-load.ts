import { type ChildProcess, fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Destination, Endpoint } from './wire.ts'

export interface OpenOptions {
  readonly group: string
  readonly endpoint: Endpoint
  /** One connection for each. */
  readonly memberIds: readonly number[]
  /** Those of each connection; a shorter list is used again from its beginning. */
  readonly destinations: readonly (readonly Destination[])[]
  /** Position that each connection resumes after. */
  readonly lastMessageIds?: readonly (string | undefined)[] | undefined
  /** Whether {@link MemberGroup.lastMessageIds} will be called. */
  readonly keepsPosition: boolean
  /** Connections that are being opened at the same time. */
  readonly concurrency: number
}

export interface Collected {
  readonly messages: number
  readonly failed: number
  readonly firstError?: string | undefined
  readonly latenciesMs: Float64Array
}

export type Call = { readonly id: number } & (
  | { readonly method: 'open'; readonly options: OpenOptions }
  | { readonly method: 'collect' | 'close' | 'lastMessageIds' | 'perConnection'; readonly group: string }
)

export interface Reply {
  readonly id: number
  readonly result?: unknown
  readonly error?: string
}

type Request = Call extends infer Each ? (Each extends Call ? Omit<Each, 'id'> : never) : never

/** How often a group is asked for what has arrived. */
const pollMs = 20
const openConcurrency = 128
/** More are not needed: the servers that are compared have one core. */
const maxWorkers = 3

/** Processes that hold connections of members. */
export class MemberLoad {
  readonly #workers: readonly Worker[]
  #groupCount = 0

  constructor() {
    const count = Math.min(maxWorkers, Math.max(2, availableParallelism() - 1))
    this.#workers = Array.from({ length: count }, () => new Worker())
  }

  /**
   * Opens one connection for each member, spread over the workers, and resolves when all are ready.
   *
   * @throws Error when a connection fails.
   */
  async open(
    endpoint: Endpoint,
    memberIds: readonly number[],
    destinations: readonly (readonly Destination[])[],
    options: { lastMessageIds?: readonly (string | undefined)[]; keepsPosition?: boolean } = {},
  ): Promise<MemberGroup> {
    const group = `group-${this.#groupCount++}`
    const share = <T>(values: readonly T[], worker: number) =>
      values.filter((_, index) => index % this.#workers.length === worker)
    const ready = await Promise.all(
      this.#workers.map((worker, index) =>
        worker.call({
          method: 'open',
          options: {
            group,
            endpoint,
            memberIds: share(memberIds, index),
            destinations: destinations.length === memberIds.length ? share(destinations, index) : destinations,
            lastMessageIds: options.lastMessageIds && share(options.lastMessageIds, index),
            keepsPosition: options.keepsPosition ?? false,
            concurrency: Math.ceil(openConcurrency / this.#workers.length),
          },
        }),
      ),
    )
    const opened = new MemberGroup(group, this.#workers, memberIds.length)
    if ((ready as number[]).reduce((total, each) => total + each, 0) < memberIds.length) {
      throw new Error(`not all connections to port ${endpoint.port} could be opened: ${await opened.firstError()}`)
    }
    return opened
  }

  close(): void {
    for (const worker of this.#workers) worker.close()
  }
}

/** Connections that are opened, measured and closed together. */
export class MemberGroup {
  readonly size: number
  readonly #name: string
  readonly #workers: readonly Worker[]
  #messages = 0
  #failed = 0
  #latenciesMs: number[] = []
  #polling: Promise<void> | undefined

  constructor(name: string, workers: readonly Worker[], size: number) {
    this.#name = name
    this.#workers = workers
    this.size = size
  }

  /** Forgets what has arrived so far. */
  async reset(): Promise<void> {
    await this.#poll()
    this.#messages = 0
    this.#latenciesMs = []
  }

  /** Resolves to what has arrived since the last {@link reset}, once `count` messages have, or at the deadline. */
  async received(count: number, deadlineMs = 10_000): Promise<{ messages: number; latenciesMs: readonly number[] }> {
    const deadline = performance.now() + deadlineMs
    for (;;) {
      await this.#poll()
      if (this.#messages >= count || performance.now() > deadline)
        return { messages: this.#messages, latenciesMs: this.#latenciesMs }
      await delay(pollMs)
    }
  }

  /** Number of connections that have failed since they were opened. */
  async failed(): Promise<number> {
    await this.#poll()
    return this.#failed
  }

  /** Resolves to the last `message-id` of each connection, in the order of the members. */
  async lastMessageIds(): Promise<(string | undefined)[]> {
    return this.#inOrder((await this.#call('lastMessageIds')) as (string | undefined)[][])
  }

  /** Resolves to the number of messages of each connection, in the order of the members. */
  async perConnection(): Promise<number[]> {
    return this.#inOrder((await this.#call('perConnection')) as number[][])
  }

  async firstError(): Promise<string> {
    const collected = (await this.#call('collect')) as Collected[]
    return collected.find(({ firstError }) => firstError)?.firstError ?? 'no error'
  }

  async close(): Promise<void> {
    await this.#call('close')
  }

  #poll(): Promise<void> {
    this.#polling ??= this.#collect().finally(() => {
      this.#polling = undefined
    })
    return this.#polling
  }

  async #collect(): Promise<void> {
    const collected = (await this.#call('collect')) as Collected[]
    this.#failed = collected.reduce((total, { failed }) => total + failed, 0)
    for (const { messages, latenciesMs } of collected) {
      this.#messages += messages
      for (const latency of latenciesMs) this.#latenciesMs.push(latency)
    }
  }

  #inOrder<T>(shares: readonly T[][]): T[] {
    return Array.from(
      { length: this.size },
      (_, index) => shares[index % shares.length]?.[Math.floor(index / shares.length)] as T,
    )
  }

  #call(method: 'collect' | 'close' | 'lastMessageIds' | 'perConnection'): Promise<unknown[]> {
    return Promise.all(this.#workers.map((worker) => worker.call({ method, group: this.#name })))
  }
}

class Worker {
  readonly #process: ChildProcess
  readonly #pending = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>()
  #count = 0

  constructor() {
    this.#process = fork(join(import.meta.dirname, 'member-worker.js'), { serialization: 'advanced' })
    this.#process.on('message', ({ id, result, error }: Reply) => {
      const call = this.#pending.get(id)
      this.#pending.delete(id)
      if (error === undefined) call?.resolve(result)
      else call?.reject(new Error(error))
    })
    this.#process.on('exit', () => {
      for (const { reject } of this.#pending.values()) reject(new Error('a process of the load has ended'))
    })
  }

  call(request: Request): Promise<unknown> {
    const id = this.#count++
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject })
      this.#process.send({ ...request, id })
    })
  }

  close(): void {
    this.#process.disconnect()
  }
}
