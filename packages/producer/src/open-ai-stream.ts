/** A source that the answer cites, in the form the model server sends. */
export type AnswerSource = Readonly<Record<string, unknown>>

/** The model server reported an error, or its stream ended early. The tokens before it were yielded. */
export class ModelError extends Error {
  override readonly name = 'ModelError'
}

interface Chunk {
  readonly choices?: readonly {
    readonly delta?: { readonly content?: string | null; readonly annotations?: readonly AnswerSource[] }
    readonly finish_reason?: string | null
  }[]
  readonly usage?: Readonly<Record<string, unknown>> | null
  readonly citations?: readonly (AnswerSource | string)[]
  readonly error?: { readonly message?: string } | string
}

/** The tokens of a chat completion. The other fields are complete when all tokens have been read. */
export interface OpenAiStream extends AsyncIterable<string> {
  /** From `annotations` (OpenAI) or `citations` (other servers). */
  readonly sources: readonly AnswerSource[]
  /** Such as `stop` or `length`. */
  readonly finishReason: string | undefined
  readonly usage: Readonly<Record<string, unknown>> | undefined
}

/** Longest line that is accepted, in characters. */
const maxLineLength = 1_048_576
/** How much of an error response is quoted, in characters. */
const maxQuotedLength = 200

/**
 * Reads the tokens of a chat completion with `stream: true`, as OpenAI and compatible servers send them: `text/event-stream`, one JSON
 * object in each `data:`, `[DONE]` at the end. Can be iterated once.
 *
 * Iterating throws `ModelError` when the response is not ok, when the stream reports an error, and when it ends before the completion
 * has finished.
 */
export function openAiStream(response: Response): OpenAiStream {
  return new ChatCompletion(response)
}

class ChatCompletion implements OpenAiStream {
  readonly #response: Response
  sources: AnswerSource[] = []
  finishReason: string | undefined
  usage: Readonly<Record<string, unknown>> | undefined

  constructor(response: Response) {
    this.#response = response
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string, void> {
    if (!this.#response.ok || !this.#response.body) {
      throw new ModelError(
        `the model server responded with ${this.#response.status}: ${(await this.#response.text()).slice(0, maxQuotedLength)}`,
      )
    }
    for await (const data of eventData(this.#response.body)) {
      if (data === '[DONE]') return
      yield* this.#take(parse(data))
    }
    // Some servers leave out [DONE]. Without a finish reason either, the connection was lost.
    if (this.finishReason === undefined) throw new ModelError('the stream ended before the answer was complete')
  }

  *#take(chunk: Chunk): Generator<string, void> {
    if (chunk.error !== undefined) {
      throw new ModelError(
        typeof chunk.error === 'string' ? chunk.error : (chunk.error.message ?? 'the model server reported an error'),
      )
    }
    if (chunk.usage) this.usage = chunk.usage
    // Each chunk carries the whole list.
    if (chunk.citations) this.sources = chunk.citations.map((source) => (typeof source === 'string' ? { url: source } : source))
    const choice = chunk.choices?.[0]
    if (choice?.delta?.annotations) this.sources.push(...choice.delta.annotations)
    if (choice?.delta?.content) yield choice.delta.content
    if (choice?.finish_reason) this.finishReason = choice.finish_reason
  }
}

function parse(data: string): Chunk {
  try {
    return JSON.parse(data) as Chunk
  } catch {
    throw new ModelError('the model server sent invalid JSON')
  }
}

/** Yields the `data` of each event (HTML standard, 9.2.6). Chunks may be cut anywhere. */
async function* eventData(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  let lines: string[] = []
  for await (const line of linesOf(body)) {
    if (line === '') {
      if (lines.length > 0) yield lines.join('\n')
      lines = []
    } else if (line.startsWith('data:')) {
      lines.push(line.slice(line[5] === ' ' ? 6 : 5))
    }
  }
  // The standard discards an event without its blank line. Some servers leave out the last one, so it is kept.
  if (lines.length > 0) yield lines.join('\n')
}

/** Yields lines, which end with CR LF, LF or CR. */
async function* linesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const bytes of body) {
    rest += decoder.decode(bytes, { stream: true })
    const lines = rest.split(/\r\n|\n|\r(?!$)/)
    rest = lines.pop() ?? ''
    if (rest.length > maxLineLength) throw new ModelError(`the model server sent a line longer than ${maxLineLength} characters`)
    yield* lines
  }
  const last = rest + decoder.decode()
  if (last !== '') yield* last.replace(/\r$/, '\n').split('\n')
}
