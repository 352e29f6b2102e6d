/** A place that an answer rests on, as the model's server tells it. */
export type AnswerSource = Readonly<Record<string, unknown>>

/** The model's server says that something went wrong, or breaks off. What came before it was given. */
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

/** What a chat completion is besides its tokens; complete once those have been read. */
export interface OpenAiStream extends AsyncIterable<string> {
  /** `annotations` of OpenAI, `citations` of others. */
  readonly sources: readonly AnswerSource[]
  /** `stop`, `length`, … */
  readonly finishReason: string | undefined
  readonly usage: Readonly<Record<string, unknown>> | undefined
}

/** Longest line that is believed to be one; a server that sends more is not what it should be. */
const maxLineLength = 1_048_576

/**
 * The tokens of a chat completion with `stream: true`, as OpenAI and everything compatible with it sends them: `text/event-stream`, one
 * JSON object for each `data:`, `[DONE]` at the end. To be read once.
 *
 * @throws ModelError when the answer is no success, on an error in the stream, and when it ends without an end.
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
      throw new ModelError(`the model's server answered ${this.#response.status}: ${(await this.#response.text()).slice(0, 200)}`)
    }
    for await (const data of eventData(this.#response.body)) {
      if (data === '[DONE]') return
      yield* this.#take(parse(data))
    }
    // Some servers leave out [DONE]. Without a reason to finish either, the connection was lost.
    if (this.finishReason === undefined) throw new ModelError('the answer broke off')
  }

  *#take(chunk: Chunk): Generator<string, void> {
    if (chunk.error !== undefined) {
      throw new ModelError(typeof chunk.error === 'string' ? chunk.error : (chunk.error.message ?? 'the model failed'))
    }
    if (chunk.usage) this.usage = chunk.usage
    // The whole list comes with each chunk.
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
    throw new ModelError('the model’s server sent something that is no JSON')
  }
}

/** The `data` of each event, cut anywhere (HTML standard, 9.2.6). */
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
  // An event that its blank line did not follow is not whole, except for servers that leave out the last one.
  if (lines.length > 0) yield lines.join('\n')
}

/** Ends of line are CR LF, LF or CR. */
async function* linesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder()
  let held = ''
  for await (const bytes of body) {
    held += decoder.decode(bytes, { stream: true })
    const lines = held.split(/\r\n|\n|\r(?!$)/)
    held = lines.pop() ?? ''
    if (held.length > maxLineLength) throw new ModelError('the model’s server sent a line without end')
    yield* lines
  }
  const last = held + decoder.decode()
  if (last !== '') yield* last.replace(/\r$/, '\n').split('\n')
}
