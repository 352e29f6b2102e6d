import { setImmediate as endOfTurn } from 'node:timers/promises'
import { isAway, isTransient } from './error.ts'

/** What a command adds to the size of its group. */
export interface Weight {
  readonly rows: number
  readonly bytes: number
}

export interface GroupLimits {
  /** A group ends before it exceeds either limit, unless it is a single command. */
  readonly maxRows: number
  readonly maxBytes: number
  /** Most commands that wait for their group, and their bytes; further ones are refused. */
  readonly maxQueued: number
  readonly maxQueuedBytes: number
  /** Longest wait for a group; commands that have waited longer are refused. */
  readonly maxWaitMs: number
}

/** What to do after a group has failed. */
export type Failure =
  /** The same group is committed again. */
  | 'retry'
  /** The cause is outside the group: every command fails. */
  | 'all'
  /** A command is the cause: the group is bisected until the failing command is isolated. */
  | 'split'

export interface Commit<Command, Outcome> {
  /** Commits the whole group or nothing. Returns the outcomes in the order of the commands. */
  commit(group: readonly Command[]): Promise<readonly Outcome[]>
  failure(error: unknown): Failure
}

/** Classifies an error of the database. */
export function failureOf(error: unknown): Failure {
  if (isAway(error)) return 'all'
  return isTransient(error) ? 'retry' : 'split'
}

/** Too many commands are waiting, or this one has waited too long. */
export class Overload extends Error {
  override readonly name = 'Overload'
}

interface QueuedCommand<Command, Outcome> {
  readonly command: Command
  readonly since: number
  readonly resolve: (outcome: Outcome) => void
  readonly reject: (error: unknown) => void
}

const maxAttempts = 3

/**
 * Lets concurrent commands share one commit. One group is committed at a time, and the commands submitted during that time form the
 * next, so a lone command starts at once and the groups grow with the load. Each command gets its own outcome, in the order of
 * submission, and a command that is refused fails alone.
 */
export class GroupCommit<Command extends Weight, Outcome> {
  readonly #commit: Commit<Command, Outcome>
  readonly #limits: GroupLimits
  readonly #queue: QueuedCommand<Command, Outcome>[] = []
  #queuedBytes = 0
  #running = false
  #ended = Promise.resolve()

  constructor(commit: Commit<Command, Outcome>, limits: GroupLimits) {
    this.#commit = commit
    this.#limits = limits
  }

  /** Commands that wait for their group to begin. */
  get queued(): number {
    return this.#queue.length
  }

  /** Resolves to the outcome of the command. @throws Overload, or the error of the commit. */
  submit(command: Command): Promise<Outcome> {
    const { maxQueued, maxQueuedBytes } = this.#limits
    const full = this.#queue.length >= maxQueued || (this.#queuedBytes > 0 && this.#queuedBytes + command.bytes > maxQueuedBytes)
    if (full) return Promise.reject(new Overload('too many writes are waiting'))
    return new Promise((resolve, reject) => {
      this.#queuedBytes += command.bytes
      this.#queue.push({ command, since: performance.now(), resolve, reject })
      if (this.#running) return
      this.#running = true
      this.#ended = this.#run()
    })
  }

  /** Resolves when every submitted command has its outcome. */
  async close(): Promise<void> {
    await this.#ended
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      const group = this.#nextGroup()
      if (group.length > 0) await this.#commitGroup(group)
      // Wait for the rest of this turn: requests that arrive together are read in one turn, and form one group.
      if (this.#queue.length === 0) await endOfTurn()
    }
    // No await since the last check of the queue: a command submitted from now on starts a new run.
    this.#running = false
  }

  #nextGroup(): QueuedCommand<Command, Outcome>[] {
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

  /** Removes the first `count` commands of the queue and returns them; all for -1. */
  #take(count: number): QueuedCommand<Command, Outcome>[] {
    const taken = this.#queue.splice(0, count === -1 ? this.#queue.length : count)
    for (const { command } of taken) this.#queuedBytes -= command.bytes
    return taken
  }

  async #commitGroup(group: readonly QueuedCommand<Command, Outcome>[]): Promise<void> {
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
        await this.#commitGroup(group.slice(0, half))
        await this.#commitGroup(group.slice(half))
        return
      }
    }
  }
}
