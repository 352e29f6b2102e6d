import { TaskProducerEvent } from '@tidings/protocol'
import { Problem } from '../http/problem.ts'
import { InvalidPart } from '../http/problem-handler.ts'

/** Makes events of an upload, cut anywhere. */
export interface TaskDecoder {
  push(chunk: Buffer): TaskProducerEvent[]
  /** What was left at the end. */
  end(): TaskProducerEvent[]
}

/** `text/plain`: everything is text. */
export class TextDecoding implements TaskDecoder {
  // Fatal: a replacement character would be text that nobody sent. A byte order mark is text like any other.
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

  push(chunk: Buffer): TaskProducerEvent[] {
    return appendOf(decode(() => this.#utf8.decode(chunk, { stream: true })))
  }

  end(): TaskProducerEvent[] {
    return appendOf(decode(() => this.#utf8.decode()))
  }
}

/** `application/x-ndjson`: an event on each line; empty lines are passed over. */
export class LineDecoding implements TaskDecoder {
  readonly #maxLineBytes: number
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true })
  #held: Buffer[] = []
  #heldBytes = 0
  #line = 0

  constructor(maxLineBytes: number) {
    this.#maxLineBytes = maxLineBytes
  }

  push(chunk: Buffer): TaskProducerEvent[] {
    const events: TaskProducerEvent[] = []
    let rest = chunk
    for (let end = rest.indexOf(0x0a); end !== -1; end = rest.indexOf(0x0a)) {
      this.#hold(rest.subarray(0, end))
      events.push(...this.#take())
      rest = rest.subarray(end + 1)
    }
    this.#hold(rest)
    return events
  }

  end(): TaskProducerEvent[] {
    return this.#take()
  }

  #hold(part: Buffer): void {
    this.#heldBytes += part.length
    if (this.#heldBytes > this.#maxLineBytes) {
      throw new Problem('too-large', `Line ${this.#line + 1} has more than ${this.#maxLineBytes} bytes (MAX_BODY_BYTES).`)
    }
    this.#held.push(part)
  }

  #take(): TaskProducerEvent[] {
    const bytes = Buffer.concat(this.#held)
    this.#held = []
    this.#heldBytes = 0
    this.#line++
    const text = decode(() => this.#utf8.decode(bytes)).trim()
    if (text === '') return []
    const event = TaskProducerEvent.safeParse(this.#parse(text))
    if (event.success) return [event.data]
    const { message, errors } = new InvalidPart('body', event.error.issues)
    throw new Problem('invalid', `Line ${this.#line}: ${message}`, { errors })
  }

  #parse(text: string): unknown {
    try {
      return JSON.parse(text)
    } catch {
      throw new Problem('malformed', `Line ${this.#line} is not JSON.`)
    }
  }
}

function appendOf(text: string): TaskProducerEvent[] {
  return text === '' ? [] : [{ type: 'append', text }]
}

function decode(work: () => string): string {
  try {
    return work()
  } catch {
    throw new Problem('not-utf-8', 'The upload has bytes that are no UTF-8. What came before them was appended.')
  }
}
