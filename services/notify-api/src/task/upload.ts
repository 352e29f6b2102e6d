import { type AcceptedTaskEvent, maxAppendLength, type TaskChange, type TaskProducerEvent } from '@tidings/protocol'
import { Problem } from '../http/problem.ts'
import type { BodyReader } from './body-reader.ts'
import { textOffset } from './problem.ts'
import type { TaskIdentity } from './row.ts'
import type { UploadDecoder } from './upload-decoder.ts'
import { changeOf, type TaskWriter } from './writer.ts'

/** The request of an upload. */
export interface UploadRequest {
  readonly body: BodyReader
  readonly decoder: UploadDecoder
  /** Byte offset at which the task's text must end when the upload begins; undefined: anywhere. */
  readonly offset: number | undefined
  readonly traceparent: string | undefined
  /** Called at the end, also of an upload that fails, with the bytes of text that the task has then. */
  readonly onEnd: (textBytes: number) => void
}

export interface TaskUploadOptions {
  readonly writer: TaskWriter
  /** Time between two writes. */
  readonly rollUpMs: number
}

/** A change that is not written yet. */
interface Pending {
  readonly change: TaskChange
  /** In UTF-16 code units of its text, or of its JSON. */
  readonly length: number
}

/** Uploads write at multiples of this, so that those that are due share a pipeline. */
const alignMs = 5

/**
 * Appends the body of one request to a task. Events are rolled up: adjacent ones of the same type that come within `rollUpMs` are one
 * publication. The first event of a burst is written at once. While a write is in flight the body is not read: a slow Redis slows the
 * producer down, a slow reader of the task does not.
 */
export class TaskUpload {
  readonly task: TaskIdentity
  /** `performance.now()` at which Redis last accepted an event of the body. */
  writtenAt = performance.now()
  /** `performance.now()` at which Redis last accepted any event of this upload, also one of `keepAlive`: the task was running then. */
  aliveAt = this.writtenAt
  readonly #request: UploadRequest
  readonly #options: TaskUploadOptions
  #accepted: AcceptedTaskEvent
  #pending: Pending[] = []
  #pendingLength = 0
  #writing = false
  /** `performance.now()` of the last write. */
  #writtenAt = 0

  /** @throws Problem as `TaskWriter.writeById`, `text-offset` when the text does not end at the request's offset. */
  static async begin(taskId: string, request: UploadRequest, options: TaskUploadOptions): Promise<TaskUpload> {
    const task = await options.writer.identify(taskId)
    const accepted = await options.writer.keepAlive(task)
    const { offset } = request
    if (offset !== undefined && offset !== accepted.textBytes) throw textOffset(accepted.textBytes)
    return new TaskUpload(task, accepted, request, options)
  }

  private constructor(task: TaskIdentity, accepted: AcceptedTaskEvent, request: UploadRequest, options: TaskUploadOptions) {
    this.task = task
    this.#accepted = accepted
    this.#request = request
    this.#options = options
  }

  /**
   * Resolves at the end of the body with the last accepted event. Rejects when the upload ends earlier, with the reason. What was
   * received until then is written, unless a write has failed.
   */
  async receive(): Promise<AcceptedTaskEvent> {
    const { body, decoder } = this.#request
    try {
      for (;;) {
        const chunk = await body.read(this.#pending.length === 0 ? undefined : this.#dueMs())
        if (chunk === undefined) break
        if (chunk !== 'late') for (const event of decoder.push(chunk)) await this.#add(event)
        if (this.#dueMs() <= 0) await this.#flush()
      }
      for (const event of decoder.end()) await this.#add(event)
      await this.#flush()
    } catch (error) {
      // Also write what was received before the body broke off. After a failed write, write nothing: it would leave a hole.
      if (!this.#writing) await this.#flush()
      throw error
    } finally {
      this.#request.onEnd(this.#accepted.textBytes)
    }
    return this.#accepted
  }

  /** Makes {@link receive} reject with `reason`. */
  stop(reason: Problem): void {
    this.#request.body.stop(reason)
  }

  /** Renews the lease while the producer sends nothing. */
  async keepAlive(now: number): Promise<void> {
    await this.#options.writer.keepAlive(this.task)
    this.aliveAt = now
  }

  async #add(event: TaskProducerEvent): Promise<void> {
    const change = changeOf(event)
    const length = lengthOf(change)
    const last = this.#pending.at(-1)
    const merged = last && merge(last, { change, length })
    if (merged) this.#pending[this.#pending.length - 1] = merged
    else this.#pending.push({ change, length })
    this.#pendingLength += length
    while (this.#pendingLength >= maxAppendLength) await this.#writeFirst()
  }

  async #flush(): Promise<void> {
    while (this.#pending.length > 0) await this.#writeFirst()
  }

  async #writeFirst(): Promise<void> {
    this.#writtenAt = performance.now()
    const { change, length } = this.#pending[0] as Pending
    const written = change.type === 'append' && length > maxAppendLength ? cutAt(change.text, maxAppendLength) : length
    if (change.type === 'append') await this.#writeText(change.text.slice(0, written))
    else await this.#writeEach(change)
    if (change.type === 'append' && written < length) {
      this.#pending[0] = { change: { type: 'append', text: change.text.slice(written) }, length: length - written }
    } else this.#pending.shift()
    this.#pendingLength -= written
  }

  /** Writes at this upload's own offset: when two uploads write to one task, the later one prevails, and their texts never mix. */
  async #writeText(text: string): Promise<void> {
    await this.#write({ type: 'append', text }, this.#accepted.textBytes)
  }

  /** Writes several values one by one when all of them exceed the limit together: those that do not are kept. */
  async #writeEach(change: TaskChange): Promise<void> {
    try {
      await this.#write(change)
    } catch (error) {
      if (change.type !== 'data' || change.data.length === 1 || !(error instanceof Problem && error.problem === 'task-limit'))
        throw error
      for (const value of change.data) await this.#write({ type: 'data', data: [value] })
    }
  }

  async #write(change: TaskChange, offset?: number): Promise<void> {
    this.#writing = true
    const { traceparent } = this.#request
    this.#accepted = await this.#options.writer.write(this.task, change, { offset, traceparent })
    this.#writing = false
    this.writtenAt = performance.now()
    this.aliveAt = this.writtenAt
  }

  #dueMs(): number {
    const dueAt = this.#writtenAt + this.#options.rollUpMs
    return dueAt - (dueAt % alignMs) - performance.now()
  }
}

/** Returns the two changes as one, or undefined if they are of different types, or too long together. */
function merge(
  { change: first, length: firstLength }: Pending,
  { change: second, length: secondLength }: Pending,
): Pending | undefined {
  const length = firstLength + secondLength
  if (first.type === 'append' && second.type === 'append') {
    return { change: { type: 'append', text: first.text + second.text }, length }
  }
  if (first.type === 'progress' && second.type === 'progress') return { change: { ...first, ...second }, length }
  if (first.type === 'data' && second.type === 'data' && length <= maxAppendLength) {
    first.data.push(...second.data)
    return { change: first, length }
  }
  return undefined
}

function lengthOf(change: TaskChange): number {
  return change.type === 'append' ? change.text.length : JSON.stringify(change).length
}

/** Returns `length`, or one less where that would cut a surrogate pair. */
function cutAt(text: string, length: number): number {
  const last = text.charCodeAt(length - 1)
  return last >= 0xd800 && last <= 0xdbff ? length - 1 : length
}
