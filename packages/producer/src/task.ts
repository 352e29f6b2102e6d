import type { Caller } from './caller.ts'
import { TaskOver, TaskRefused } from './problem.ts'
import { TaskText } from './task-text.ts'
import { type Stored, Told, type Telling } from './told.ts'
import { uploadAll } from './upload.ts'

/** Longest text that one event carries, in characters; safely below 64 KiB of JSON. */
const maxAppendLength = 8_192

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
  readonly #told = new Told()
  readonly #over = new AbortController()
  readonly #keepAlive: NodeJS.Timeout
  #saying = false
  /** Text is sent by one at a time, in order. */
  #turn: Promise<unknown> = Promise.resolve()
  /** Everything else too. */
  #tellingTurn: Promise<unknown> = Promise.resolve()

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
  progress(progress: { percent?: number; stage?: string } = {}): Promise<void> {
    return this.#tell({ type: 'progress', ...progress })
  }

  data(data: unknown): Promise<void> {
    return this.#tell({ type: 'data', data })
  }

  /** One piece of text. For many, `pipe` costs less. */
  append(text: string): Promise<void> {
    return this.#inTurn(() => this.#append(text))
  }

  /**
   * Streams text in as it comes; resolves when all of it is there. Ends the source when the task is over.
   *
   * @throws TaskOver, TaskRefused, or what the source throws: what it gave before that is there.
   */
  pipe(source: Iterable<string> | AsyncIterable<string>): Promise<void> {
    return this.#inTurn(() => this.#pipe(source))
  }

  /** @throws TaskOver when it has ended otherwise, by a cancel perhaps. */
  async finish(end: FinishOptions): Promise<void> {
    await this.#turn
    await this.#complete()
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

  async #tell(given: Telling): Promise<void> {
    // As it is now: it may be changed while it waits, and is compared with what arrived.
    const telling = JSON.parse(JSON.stringify(given)) as Telling
    await this.#inTellingTurn(async () => {
      await this.#call('/event', telling)
      this.#told.add(telling)
    })
  }

  /** Where the text ends over there. What Redis has lost besides is told again. */
  #textBytes(): Promise<number> {
    return this.#inTellingTurn(async () => {
      const stored = await this.#caller.call<Stored>(this.#path)
      const { status, textBytes } = stored
      if (status !== 'queued' && status !== 'running') {
        throw new TaskOver({ type: '/task-over', status: 409, title: `The task is ${status}.`, taskStatus: status })
      }
      for (const telling of this.#told.missingIn(stored)) await this.#caller.call(`${this.#path}/event`, telling)
      return textBytes
    })
  }

  /** What is stored with the end is what is over there now. */
  async #complete(): Promise<void> {
    try {
      if ((await this.#textBytes()) < this.#text.bytes) await this.#upload(() => true, this.signal)
    } catch (error) {
      // It may have ended just so, and only the answer was lost.
      if (!(error instanceof TaskOver)) throw error
    }
  }

  #inTellingTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const mine = this.#tellingTurn.then(work)
    this.#tellingTurn = mine.catch(() => {})
    return mine
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const mine = this.#turn.then(work)
    this.#turn = mine.catch(() => {})
    return mine
  }

  async #append(text: string): Promise<void> {
    const offset = this.#text.bytes
    this.#text.add(text)
    const added = new TextDecoder('utf-8', { ignoreBOM: true }).decode(this.#text.after(offset))
    if (added.length > maxAppendLength) return this.#upload(() => true, this.signal)
    if (added === '') return undefined
    try {
      await this.#call(`/event?offset=${offset}`, { type: 'append', text: added })
    } catch (error) {
      // What came before has been lost over there: all of it goes again.
      if (!(error instanceof TaskRefused) || !error.problem.type.endsWith('/text-offset')) throw error
      await this.#upload(() => true, this.signal)
    }
  }

  async #upload(ended: () => boolean, signal: AbortSignal): Promise<void> {
    try {
      await uploadAll(this.#caller, this.#path, { text: this.#text, ended, signal, textBytes: () => this.#textBytes() })
    } catch (error) {
      throw this.#noticed(error)
    }
  }

  async #pipe(source: Iterable<string> | AsyncIterable<string>): Promise<void> {
    let ended = false
    const stop = new AbortController()
    const signal = AbortSignal.any([stop.signal, this.signal])
    const uploading = this.#upload(() => ended, signal).catch((error: unknown) => {
      stop.abort(error)
      throw error
    })
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
