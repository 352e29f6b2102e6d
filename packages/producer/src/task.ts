import type { Caller } from './caller.ts'
import { isTextOffset, TaskOver, taskIsOver, taskOverWithStatus, Refused } from './problem.ts'
import { type Report, ReportedState, type StoredTask } from './reported-state.ts'
import type { Escalate } from './send.ts'
import { SerialQueue } from './serial-queue.ts'
import { TaskText } from './task-text.ts'
import { uploadAll } from './upload.ts'

/** Longest text sent in one event, in characters. Even with every character escaped or of three bytes, it stays below 64 KiB of JSON. */
const maxAppendLength = 8_192
/** The lease is renewed this often in its length, so that a renewal may be retried several times. */
const renewalsPerLease = 6

export interface FinishOptions {
  readonly status: 'succeeded' | 'failed'
  /** Any JSON value. */
  readonly result?: unknown
  readonly error?: string
  /** Also sends the member this notification. With `escalate`, it reaches a member that has closed the tab. */
  readonly notify?: {
    readonly message: string
    readonly redirectPath: string
    readonly kind?: string
    readonly escalate?: Escalate | false
  }
}

/**
 * A long-running piece of work, as its producer holds it. Calls wait while notify-api is unavailable, and send again what may have been
 * lost. The task's lease is renewed as long as the process lives, so a silent producer does not lose its task.
 */
export class Task {
  readonly taskId: string
  readonly #caller: Caller
  readonly #path: string
  readonly #text = new TaskText()
  readonly #reported = new ReportedState()
  readonly #over = new AbortController()
  readonly #leaseTimer: NodeJS.Timeout
  #renewingLease = false
  /** Text goes out in the order of the calls. */
  readonly #textQueue = new SerialQueue()
  /** Reports and reads of the stored task go out in order, so that what is read can be compared with what was reported. */
  readonly #reportQueue = new SerialQueue()

  /** @internal `createTask` makes it. */
  constructor(caller: Caller, taskId: string, leaseSeconds: number) {
    this.taskId = taskId
    this.#caller = caller
    this.#path = `/task/${taskId}`
    this.#leaseTimer = setInterval(() => void this.#renewLease(), (leaseSeconds * 1_000) / renewalsPerLease)
    this.#leaseTimer.unref()
  }

  /** Aborts with `TaskOver` as its reason when the task is cancelled or has ended otherwise. Pass it to whatever the work waits for. */
  get signal(): AbortSignal {
    return this.#over.signal
  }

  /** Reports progress. Without arguments it only renews the lease. `percent` is 0 to 100. */
  progress(progress: { percent?: number; stage?: string } = {}): Promise<void> {
    return this.#report({ type: 'progress', ...progress })
  }

  /** Reports any JSON value. */
  data(data: unknown): Promise<void> {
    return this.#report({ type: 'data', data })
  }

  /** Appends one piece of text. For many pieces, `pipe` costs less. */
  append(text: string): Promise<void> {
    return this.#textQueue.run(() => this.#append(text))
  }

  /**
   * Appends text as the source yields it. Resolves when all of it is stored. Ends the source when the task is over.
   *
   * @throws TaskOver, Refused, or what the source throws after what it yielded before is stored.
   */
  pipe(source: Iterable<string> | AsyncIterable<string>): Promise<void> {
    return this.#textQueue.run(() => this.#pipe(source))
  }

  /**
   * Ends the task, after all text is stored.
   *
   * @throws TaskOver when the task has already ended otherwise, for instance by a cancel.
   */
  async finish(end: FinishOptions): Promise<void> {
    await this.#textQueue.idle()
    await this.#completeText()
    await this.#call('/finish', end)
    this.release()
  }

  /** Stops renewing the lease and sends nothing. The task ends as `interrupted` when its lease expires, unless another producer renews it. */
  release(): void {
    clearInterval(this.#leaseTimer)
  }

  async #renewLease(): Promise<void> {
    if (this.#renewingLease) return
    this.#renewingLease = true
    await this.progress().catch(() => {}) // TaskOver has aborted the signal; any other error is retried with the next renewal
    this.#renewingLease = false
  }

  async #report(given: Report): Promise<void> {
    // A copy: the caller may change the object while it is queued, and it is compared with the stored task later.
    const report = JSON.parse(JSON.stringify(given)) as Report
    await this.#reportQueue.run(async () => {
      await this.#call('/event', report)
      this.#reported.add(report)
    })
  }

  /** Returns how much text is stored, after reporting again what Redis has lost besides text. */
  #storedBytes(): Promise<number> {
    return this.#reportQueue.run(async () => {
      const stored = await this.#caller.call<StoredTask>(this.#path)
      if (taskIsOver(stored.status)) throw taskOverWithStatus(stored.status)
      for (const report of this.#reported.missingFrom(stored)) await this.#caller.call(`${this.#path}/event`, report)
      return stored.textBytes
    })
  }

  /** Sends again what Redis has lost: `/finish` ends the task with what is stored at that moment. */
  async #completeText(): Promise<void> {
    try {
      if ((await this.#storedBytes()) < this.#text.bytes) await this.#uploadWhole()
    } catch (error) {
      // It may have been finished by an earlier attempt whose response was lost; `/finish` is idempotent and decides that.
      if (!(error instanceof TaskOver)) throw error
    }
  }

  async #append(text: string): Promise<void> {
    const offset = this.#text.bytes
    this.#text.add(text)
    const added = new TextDecoder('utf-8', { ignoreBOM: true }).decode(this.#text.after(offset))
    if (added.length > maxAppendLength) return this.#uploadWhole()
    if (added === '') return undefined
    try {
      await this.#call(`/event?offset=${offset}`, { type: 'append', text: added })
    } catch (error) {
      // Redis has lost text that was stored before: the upload sends it again.
      if (!(error instanceof Refused) || !isTextOffset(error.problem)) throw error
      await this.#uploadWhole()
    }
  }

  #uploadWhole(): Promise<void> {
    return this.#upload(() => true, this.signal)
  }

  async #upload(ended: () => boolean, signal: AbortSignal): Promise<void> {
    try {
      await uploadAll(this.#caller, this.#path, { text: this.#text, ended, signal, storedBytes: () => this.#storedBytes() })
    } catch (error) {
      throw this.#checked(error)
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
    // When the source throws, the upload still completes what it yielded before. An error of the upload is thrown in preference: it is
    // what made the source end.
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
      // Not awaited: a generator that waits for its next token returns only when that arrives.
      if (signal.aborted) void Promise.resolve(iterator.return?.()).catch(() => {})
      throw error
    }
  }

  async #call(path: string, body: unknown): Promise<void> {
    this.signal.throwIfAborted()
    try {
      await this.#caller.call(`${this.#path}${path}`, body)
    } catch (error) {
      throw this.#checked(error)
    }
  }

  /** Aborts the signal when the error is the first `TaskOver`. Returns the error to throw. */
  #checked(error: unknown): unknown {
    if (!(error instanceof TaskOver)) return this.signal.aborted ? this.signal.reason : error
    this.release()
    this.#over.abort(error)
    return error
  }
}
