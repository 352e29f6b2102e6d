import type { Caller } from './caller.ts'
import { TaskOver } from './problem.ts'
import { TaskText } from './task-text.ts'
import { uploadAll } from './upload.ts'

export interface FinishOptions {
  readonly status: 'succeeded' | 'failed'
  /** Any JSON. */
  readonly result?: unknown
  readonly error?: string
  /** Also a notification for the member's inbox. */
  readonly notify?: { readonly message: string; readonly redirectPath: string }
}

/**
 * A long-running piece of work as its producer holds it. Whatever is called waits while notify-api is away, and repeats what may have
 * been lost. As long as the process lives it keeps the task's lease, so that silence while thinking is no end.
 */
export class Task {
  readonly taskId: string
  readonly #caller: Caller
  readonly #path: string
  readonly #text = new TaskText()
  readonly #over = new AbortController()
  readonly #keepAlive: NodeJS.Timeout
  #saying = false
  /** Text is sent by one at a time, in order. */
  #turn: Promise<unknown> = Promise.resolve()

  /** @internal: `createTask` makes it. */
  constructor(caller: Caller, taskId: string, leaseSeconds: number) {
    this.taskId = taskId
    this.#caller = caller
    this.#path = `/task/${taskId}`
    this.#keepAlive = setInterval(() => void this.#sayAlive(), (leaseSeconds * 1_000) / 6)
    this.#keepAlive.unref()
  }

  /** Aborts with `TaskOver` as its reason when the task was cancelled, or is over otherwise: hand it to what you wait for. */
  get signal(): AbortSignal {
    return this.#over.signal
  }

  /** Without anything, it only says that the producer is alive. */
  async progress(progress: { percent?: number; stage?: string } = {}): Promise<void> {
    await this.#call('/event', { type: 'progress', ...progress })
  }

  async data(data: unknown): Promise<void> {
    await this.#call('/event', { type: 'data', data })
  }

  append(text: string): Promise<void> {
    return this.pipe([text])
  }

  /**
   * Streams text in as it comes; resolves when all of it is there. Ends the source when the task is over.
   *
   * @throws TaskOver, TaskRefused, or what the source throws: what it gave before that is there.
   */
  pipe(source: Iterable<string> | AsyncIterable<string>): Promise<void> {
    const mine = this.#turn.then(() => this.#pipe(source))
    this.#turn = mine.catch(() => {})
    return mine
  }

  /** @throws TaskOver when it has ended otherwise, by a cancel perhaps. */
  async finish(end: FinishOptions): Promise<void> {
    await this.#turn
    await this.#call('/finish', end)
    this.release()
  }

  /** Lets go without a word: the lease ends the task, unless somebody else goes on with it. */
  release(): void {
    clearInterval(this.#keepAlive)
  }

  async #sayAlive(): Promise<void> {
    if (this.#saying) return
    this.#saying = true
    await this.progress().catch(() => {}) // what matters of it aborts the signal
    this.#saying = false
  }

  async #pipe(source: Iterable<string> | AsyncIterable<string>): Promise<void> {
    let ended = false
    const stop = new AbortController()
    const signal = AbortSignal.any([stop.signal, this.signal])
    const uploading = uploadAll(this.#caller, this.#path, { text: this.#text, ended: () => ended, signal }).catch(
      (error: unknown) => {
        stop.abort(error)
        throw this.#noticed(error)
      },
    )
    uploading.catch(() => {})
    const reading = this.#read(source, signal).finally(() => {
      ended = true
      this.#text.wake()
    })
    // Whatever the source threw, what it gave before is to arrive; but a refusal says more than what it made of the source.
    const [read] = await Promise.allSettled([reading])
    await uploading
    if (read.status === 'rejected') throw read.reason
  }

  async #read(source: Iterable<string> | AsyncIterable<string>, signal: AbortSignal): Promise<void> {
    const iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
    })
    aborted.catch(() => {})
    try {
      for (;;) {
        signal.throwIfAborted()
        const next = await Promise.race([iterator.next(), aborted])
        if (next.done) return
        this.#text.add(next.value)
      }
    } catch (error) {
      // Not awaited: a source that is waiting for its next token ends when that comes.
      if (signal.aborted) void Promise.resolve(iterator.return?.()).catch(() => {})
      throw error
    }
  }

  async #call(path: string, body: unknown): Promise<void> {
    this.signal.throwIfAborted()
    try {
      await this.#caller.call(`${this.#path}${path}`, body)
    } catch (error) {
      throw this.#noticed(error)
    }
  }

  #noticed(error: unknown): unknown {
    if (!(error instanceof TaskOver)) return this.signal.aborted ? this.signal.reason : error
    this.release()
    this.#over.abort(error)
    return error
  }
}
