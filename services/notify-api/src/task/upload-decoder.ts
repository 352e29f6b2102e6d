import { TaskProducerEvent } from '@tidings/protocol'
import { Problem } from '../http/problem.ts'
import { InvalidPart } from '../http/problem-handler.ts'

/** Decodes the body of an upload into events. Chunks may be cut anywhere, also within a character. */
export interface UploadDecoder {
  /** @throws Problem when the body is not valid. */
  push(chunk: Buffer): TaskProducerEvent[]
  /**
   * Returns the events that the end of the body completes.
   *
   * @throws Problem when the body is not valid.
   */
  end(): TaskProducerEvent[]
}

/** Decodes `text/plain`: all of it is text. */
export class PlainTextDecoder implements UploadDecoder {
  // Fatal: a replacement character would be text that was never sent. A byte order mark is kept as text.
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

  push(chunk: Buffer): TaskProducerEvent[] {
    return appendEvents(decode(() => this.#utf8.decode(chunk, { stream: true })))
  }

  end(): TaskProducerEvent[] {
    return appendEvents(decode(() => this.#utf8.decode()))
  }
}

/** Decodes `application/x-ndjson`: one event per line. Empty lines are skipped. */
export class NdjsonDecoder implements UploadDecoder {
  readonly #maxLineBytes: number
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true })
  /** The parts of the current line. */
  #parts: Buffer[] = []
  #lineBytes = 0
  #lineNumber = 1

  constructor(maxLineBytes: number) {
    this.#maxLineBytes = maxLineBytes
  }

  push(chunk: Buffer): TaskProducerEvent[] {
    const events: TaskProducerEvent[] = []
    let rest = chunk
    for (let end = rest.indexOf(0x0a); end !== -1; end = rest.indexOf(0x0a)) {
      this.#addToLine(rest.subarray(0, end))
      events.push(...this.#endLine())
      rest = rest.subarray(end + 1)
    }
    this.#addToLine(rest)
    return events
  }

  end(): TaskProducerEvent[] {
    return this.#endLine()
  }

  #addToLine(part: Buffer): void {
    this.#lineBytes += part.length
    if (this.#lineBytes > this.#maxLineBytes) {
      throw new Problem('too-large', `Line ${this.#lineNumber} has more than ${this.#maxLineBytes} bytes (MAX_BODY_BYTES).`)
    }
    this.#parts.push(part)
  }

  /** Returns the event of the current line, if it is not empty, and begins the next line. */
  #endLine(): TaskProducerEvent[] {
    const text = decode(() => this.#utf8.decode(Buffer.concat(this.#parts))).trim()
    const events = text === '' ? [] : [this.#parseLine(text)]
    this.#parts = []
    this.#lineBytes = 0
    this.#lineNumber++
    return events
  }

  #parseLine(text: string): TaskProducerEvent {
    const event = TaskProducerEvent.safeParse(this.#parseJson(text))
    if (event.success) return event.data
    const { message, errors } = new InvalidPart('body', event.error.issues)
    throw new Problem('invalid', `Line ${this.#lineNumber}: ${message}`, { errors })
  }

  #parseJson(text: string): unknown {
    try {
      return JSON.parse(text)
    } catch {
      throw new Problem('malformed', `Line ${this.#lineNumber} is not JSON.`)
    }
  }
}

function appendEvents(text: string): TaskProducerEvent[] {
  return text === '' ? [] : [{ type: 'append', text }]
}

function decode(decodeUtf8: () => string): string {
  try {
    return decodeUtf8()
  } catch {
    throw new Problem('not-utf-8', 'The upload has bytes that are not UTF-8. What came before them was appended.')
  }
}
