import { TaskProducerEvent } from '@tidings/protocol'
import { refuseInexactNumber } from '../http/inexact-number.ts'
import { Problem } from '../http/problem.ts'
import { InvalidPart } from '../http/problem-handler.ts'
import { detailed } from '../http/validation.ts'

/**
 * Decodes the body of an upload into events. Chunks may be cut anywhere, also within a character: the events before an error are the
 * same for every cut.
 */
export interface UploadDecoder {
  /** @throws Problem when the body is not valid, after the events that came before. */
  push(chunk: Buffer): Iterable<TaskProducerEvent>
  /**
   * Yields the events that the end of the body completes.
   *
   * @throws Problem when the body is not valid.
   */
  end(): Iterable<TaskProducerEvent>
}

/** Fatal: a replacement character would be text that was never sent. A byte order mark is kept as text. */
const textOptions = { fatal: true, ignoreBOM: true } as const
/** Most bytes of a character that is not complete. */
const maxIncompleteBytes = 3

/** Decodes `text/plain`: all of it is text. */
export class PlainTextDecoder implements UploadDecoder {
  readonly #utf8 = new TextDecoder('utf-8', textOptions)
  /** The bytes received of a character that is not complete. */
  #incomplete: Buffer = Buffer.alloc(0);

  *push(chunk: Buffer): Generator<TaskProducerEvent> {
    let text: string
    try {
      text = this.#utf8.decode(chunk, { stream: true })
    } catch {
      yield* appendEvents(validPrefix(Buffer.concat([this.#incomplete, chunk])))
      throw notUtf8()
    }
    this.#incomplete = incompleteEnd(Buffer.concat([this.#incomplete, chunk.subarray(-maxIncompleteBytes)]))
    yield* appendEvents(text)
  }

  *end(): Generator<TaskProducerEvent> {
    yield* appendEvents(decode(() => this.#utf8.decode()))
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

  *push(chunk: Buffer): Generator<TaskProducerEvent> {
    let rest = chunk
    for (let end = rest.indexOf(0x0a); end !== -1; end = rest.indexOf(0x0a)) {
      this.#addToLine(rest.subarray(0, end))
      yield* this.#endLine()
      rest = rest.subarray(end + 1)
    }
    this.#addToLine(rest)
  }

  *end(): Generator<TaskProducerEvent> {
    yield* this.#endLine()
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
    const event = TaskProducerEvent.safeParse(this.#parseJson(text), detailed)
    const refusal = event.success ? refuseInexactNumber(text) : new InvalidPart('body', event.error.issues)
    if (event.success && !refusal) return event.data
    const { message, errors } = refusal as InvalidPart
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
    throw notUtf8()
  }
}

function notUtf8(): Problem {
  return new Problem('not-utf-8', 'The upload has bytes that are not UTF-8. What came before them was appended.')
}

/** Returns the bytes of a character that is cut at the end of valid UTF-8. */
function incompleteEnd(bytes: Buffer): Buffer {
  for (let length = 1; length <= Math.min(maxIncompleteBytes, bytes.length); length++) {
    const byte = bytes[bytes.length - length] ?? 0
    if (byte < 0x80) break
    const characterBytes = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 0
    if (characterBytes > length) return Buffer.from(bytes.subarray(bytes.length - length))
    if (characterBytes > 0) break
  }
  return Buffer.alloc(0)
}

/** Returns the text before the first byte that is not valid, by bisection. */
function validPrefix(bytes: Buffer): string {
  const decodePrefix = (length: number) =>
    new TextDecoder('utf-8', textOptions).decode(bytes.subarray(0, length), { stream: true })
  let text = ''
  for (let valid = 0, invalid = bytes.length; invalid - valid > 1; ) {
    const middle = (valid + invalid) >> 1
    try {
      text = decodePrefix(middle)
      valid = middle
    } catch {
      invalid = middle
    }
  }
  return text
}
