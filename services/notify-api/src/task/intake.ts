import { type AcceptedTaskEvent, maxAppendLength, type TaskProducerEvent } from '@tidings/protocol'
import type { BodyReader } from './body-reader.ts'
import type { TaskName } from './row.ts'
import type { TaskDecoder } from './decoder.ts'
import type { Place } from './history.ts'
import { textOffset } from './problem.ts'
import type { TaskWriter } from './writer.ts'

export interface TaskIntakeOptions {
  readonly writer: TaskWriter
  readonly decoder: TaskDecoder
  readonly rollUpMs: number
  /** Told of each sign of life. */
  readonly onAccepted: () => void
}

/**
 * Takes one upload in: text is rolled up into one append for each `rollUpMs`, the first of a burst at once. While an append is on its
 * way nothing is read, so that a producer is held back by Redis, and never by who reads the task.
 */
export class TaskIntake {
  readonly #name: TaskName
  readonly #options: TaskIntakeOptions
  #accepted: AcceptedTaskEvent
  #text = ''
  #refused = false
  #appendedAt = Number.NEGATIVE_INFINITY

  /** `offset`: where the producer says that its text goes on. Without it, wherever the text ends. */
  static async open(name: TaskName, offset: number | undefined, options: TaskIntakeOptions): Promise<TaskIntake> {
    const accepted = await options.writer.touch(name)
    if (offset !== undefined && offset !== accepted.textBytes) throw textOffset(accepted.textBytes)
    return new TaskIntake(name, accepted, options)
  }

  private constructor(name: TaskName, accepted: AcceptedTaskEvent, options: TaskIntakeOptions) {
    this.#name = name
    this.#accepted = accepted
    this.#options = options
  }

  /** Until the end of the upload. Rejects with what ends it before that; what had come by then was appended. */
  async takeIn(body: BodyReader): Promise<AcceptedTaskEvent> {
    try {
      for (;;) {
        const chunk = await body.read(this.#text === '' ? undefined : this.#dueMs())
        if (chunk === undefined) break
        if (chunk !== 'late') await this.#push(chunk)
        if (this.#dueMs() <= 0) await this.#flush()
      }
      for (const event of this.#options.decoder.end()) await this.#take(event)
    } catch (error) {
      // Also of an upload that breaks off. But nothing after what was refused: it would leave a hole.
      if (!this.#refused) await this.#flush()
      throw error
    }
    await this.#flush()
    return this.#accepted
  }

  async #push(chunk: Buffer): Promise<void> {
    for (const event of this.#options.decoder.push(chunk)) await this.#take(event)
  }

  async #take(event: TaskProducerEvent): Promise<void> {
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

  /** At our own offset: when two uploads write to one task the later one holds, and they never mix. */
  async #appendFirst(length: number): Promise<void> {
    const text = this.#text.slice(0, length)
    this.#appendedAt = performance.now()
    await this.#write({ type: 'append', text }, { offset: this.#accepted.textBytes })
    this.#text = this.#text.slice(length)
  }

  async #write(event: TaskProducerEvent, place: Place = {}): Promise<void> {
    this.#refused = true
    this.#accepted = await this.#options.writer.write(this.#name, event, place)
    this.#refused = false
    this.#options.onAccepted()
  }

  #dueMs(): number {
    return this.#appendedAt + this.#options.rollUpMs - performance.now()
  }
}

/** At most `length`, and not within a surrogate pair. */
function cutAt(text: string, length: number): number {
  const last = text.charCodeAt(length - 1)
  return last >= 0xd800 && last <= 0xdbff ? length - 1 : length
}
