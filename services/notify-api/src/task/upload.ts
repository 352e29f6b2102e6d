import { type AcceptedTaskEvent, maxAppendLength, type TaskProducerEvent } from '@tidings/protocol'
import type { Problem } from '../http/problem.ts'
import type { BodyReader } from './body-reader.ts'
import { textOffset } from './problem.ts'
import type { TaskIdentity } from './row.ts'
import type { UploadDecoder } from './upload-decoder.ts'
import type { TaskWriter } from './writer.ts'

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
  /** Time between two appends. */
  readonly rollUpMs: number
}

/**
 * Appends the body of one request to a task. Text is rolled up into one append per `rollUpMs`, and the first text of a burst is
 * appended at once. While an append is in flight the body is not read: a slow Redis slows the producer down, a slow reader of the task
 * does not.
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
  #text = ''
  #writing = false
  #appendedAt = Number.NEGATIVE_INFINITY

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
   * Resolves at the end of the body with the last accepted event. Rejects when the upload ends earlier, with the reason. Text received
   * until then is appended, unless an append has failed.
   */
  async receive(): Promise<AcceptedTaskEvent> {
    const { body, decoder } = this.#request
    try {
      for (;;) {
        const chunk = await body.read(this.#text === '' ? undefined : this.#appendDueMs())
        if (chunk === undefined) break
        if (chunk !== 'late') for (const event of decoder.push(chunk)) await this.#add(event)
        if (this.#appendDueMs() <= 0) await this.#flush()
      }
      for (const event of decoder.end()) await this.#add(event)
      await this.#flush()
    } catch (error) {
      // Also append the text that was received before the body broke off. After a failed write append nothing: it would leave a hole.
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
    if (event.type === 'append') {
      this.#text += event.text
      while (this.#text.length >= maxAppendLength) await this.#appendFirst(cutAt(this.#text, maxAppendLength))
      return
    }
    await this.#flush()
    await this.#write(event)
  }

  async #flush(): Promise<void> {
    if (this.#text !== '') await this.#appendFirst(this.#text.length)
  }

  /** Appends at this upload's own offset: when two uploads write to one task, the later one prevails, and their texts never mix. */
  async #appendFirst(length: number): Promise<void> {
    const text = this.#text.slice(0, length)
    this.#appendedAt = performance.now()
    await this.#write({ type: 'append', text }, this.#accepted.textBytes)
    this.#text = this.#text.slice(length)
  }

  async #write(event: TaskProducerEvent, offset?: number): Promise<void> {
    this.#writing = true
    const { traceparent } = this.#request
    this.#accepted = await this.#options.writer.write(this.task, event, { offset, traceparent })
    this.#writing = false
    this.writtenAt = performance.now()
    this.aliveAt = this.writtenAt
  }

  #appendDueMs(): number {
    return this.#appendedAt + this.#options.rollUpMs - performance.now()
  }
}

/** Returns `length`, or one less where that would cut a surrogate pair. */
function cutAt(text: string, length: number): number {
  const last = text.charCodeAt(length - 1)
  return last >= 0xd800 && last <= 0xdbff ? length - 1 : length
}
