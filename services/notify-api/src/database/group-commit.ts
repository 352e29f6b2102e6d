import { setImmediate as endOfTurn } from 'node:timers/promises'

/** What a command weighs in its group. */
export interface Weight {
  readonly rows: number
  readonly bytes: number
}

export interface GroupLimits {
  /** A group ends before it is heavier than this; a single command may be. */
  readonly maxRows: number
  readonly maxBytes: number
  /** Commands waiting for their group, and their bytes; what would be more is refused. */
  readonly maxQueued: number
  readonly maxQueuedBytes: number
  /** A command that has waited longer for its group is refused. */
  readonly maxWaitMs: number
}

/** How to go on after a group has failed. */
export type Failure =
  /** The same group again. */
  | 'retry'
  /** Nothing to do with what is in the group: all fail. */
  | 'all'
  /** Something in the group: each half by itself, until the one that is at fault stands alone. */
  | 'split'

export interface Commit<Command, Outcome> {
  /** All of the group or nothing of it; outcomes in the order of the commands. */
  commit(group: readonly Command[]): Promise<readonly Outcome[]>
  failure(error: unknown): Failure
}

/** Too much is waiting, or has waited too long. */
export class Overload extends Error {
  override readonly name = 'Overload'
}

interface Waiting<Command, Outcome> {
  readonly command: Command
  readonly since: number
  readonly resolve: (outcome: Outcome) => void
  readonly reject: (error: unknown) => void
}

const maxAttempts = 3

/**
 * Concurrent commands share one commit. One group is on its way at a time; what is submitted meanwhile forms the next, so that a
 * lone command starts at once and the groups grow with the load. Each command is answered by the commit it was part of, in the
 * order of submission, and a command that is refused fails alone.
 */
export class GroupCommit<Command extends Weight, Outcome> {
  readonly #commit: Commit<Command, Outcome>
  readonly #limits: GroupLimits
  readonly #queue: Waiting<Command, Outcome>[] = []
  #queuedBytes = 0
  #writing = false
  #written = Promise.resolve()

  constructor(commit: Commit<Command, Outcome>, limits: GroupLimits) {
    this.#commit = commit
    this.#limits = limits
  }

  get queued(): number {
    return this.#queue.length
  }

  /** @throws Overload, or what the commit failed with. */
  submit(command: Command): Promise<Outcome> {
    const { maxQueued, maxQueuedBytes } = this.#limits
    const full = this.#queue.length >= maxQueued || (this.#queuedBytes > 0 && this.#queuedBytes + command.bytes > maxQueuedBytes)
    if (full) return Promise.reject(new Overload('too many writes are waiting'))
    return new Promise((resolve, reject) => {
      this.#queuedBytes += command.bytes
      this.#queue.push({ command, since: performance.now(), resolve, reject })
      if (this.#writing) return
      this.#writing = true
      this.#written = this.#write()
    })
  }

  /** Resolves when all that was submitted has been answered. */
  async close(): Promise<void> {
    await this.#written
  }

  async #write(): Promise<void> {
    while (this.#queue.length > 0) {
      const group = this.#nextGroup()
      if (group.length > 0) await this.#answer(group)
      // What arrives together is read in one turn of the event loop, and goes into one group.
      if (this.#queue.length === 0) await endOfTurn()
    }
    // In the same breath as the last look at the queue: what is submitted from now on starts a new round.
    this.#writing = false
  }

  #nextGroup(): Waiting<Command, Outcome>[] {
    const { maxRows, maxBytes, maxWaitMs } = this.#limits
    const oldest = performance.now() - maxWaitMs
    const expired = this.#queue.findIndex(({ since }) => since >= oldest)
    for (const late of this.#take(expired)) late.reject(new Overload('waited too long to be written'))
    let rows = 0
    let bytes = 0
    const end = this.#queue.findIndex(({ command }, index) => {
      rows += command.rows
      bytes += command.bytes
      return index > 0 && (rows > maxRows || bytes > maxBytes)
    })
    return this.#take(end)
  }

  /** The first of the queue; all of it for -1. */
  #take(count: number): Waiting<Command, Outcome>[] {
    const taken = this.#queue.splice(0, count === -1 ? this.#queue.length : count)
    for (const { command } of taken) this.#queuedBytes -= command.bytes
    return taken
  }

  async #answer(group: readonly Waiting<Command, Outcome>[]): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        const outcomes = await this.#commit.commit(group.map(({ command }) => command))
        for (const [index, { resolve }] of group.entries()) resolve(outcomes[index] as Outcome)
        return
      } catch (error) {
        const failure = this.#commit.failure(error)
        if (failure === 'retry' && attempt < maxAttempts) continue
        if (failure === 'all' || group.length === 1) {
          for (const { reject } of group) reject(error)
          return
        }
        const half = Math.ceil(group.length / 2)
        await this.#answer(group.slice(0, half))
        await this.#answer(group.slice(half))
        return
      }
    }
  }
}
