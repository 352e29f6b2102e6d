import { expect, test } from 'vitest'
import { ModelError, openAiStream } from './open-ai-stream.ts'

function responseOf(bytes: Uint8Array, size = bytes.length): Response {
  let at = 0
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (at >= bytes.length) return controller.close()
      controller.enqueue(bytes.subarray(at, at + size))
      at += size
    },
  })
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
}

async function read(text: string, size?: number) {
  const stream = openAiStream(responseOf(Buffer.from(text), size))
  const tokens: string[] = []
  for await (const token of stream) tokens.push(token)
  return { tokens, sources: stream.sources, finishReason: stream.finishReason, usage: stream.usage }
}

const chunk = (delta: object, finishReason: string | null = null) =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finishReason }] })}`

const events = [
  ': a comment',
  chunk({ role: 'assistant', content: '' }),
  chunk({ content: '안녕' }),
  `event: message\n${chunk({ content: ' 👋\n' })}`,
  chunk({ content: null, annotations: [{ url: 'https://example.com' }] }),
  chunk({}, 'stop'),
  'data:{"choices":[],"usage":{"completion_tokens":2}}',
  'data: [DONE]',
]
const whole = {
  tokens: ['안녕', ' 👋\n'],
  sources: [{ url: 'https://example.com' }],
  finishReason: 'stop',
  usage: { completion_tokens: 2 },
}

test.each(['\n', '\r\n', '\r'])(
  'reads tokens, sources, finish reason and usage with line ending %j, cut at every size',
  async (lineEnd) => {
    const text = events
      .map((event) => `${event}\n\n`)
      .join('')
      .replaceAll('\n', lineEnd)
    for (let size = 1; size < 80; size++) expect(await read(text, size)).toEqual(whole)
    expect(await read(text.trimEnd())).toEqual(whole)
  },
)

test('reads citations of servers other than OpenAI as sources', async () => {
  const { sources } = await read('data: {"citations":["https://a.example"],"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n')
  expect(sources).toEqual([{ url: 'https://a.example' }])
})

test.each([
  ['an error object', `${chunk({ content: 'a' })}\n\ndata: {"error":{"message":"overloaded"}}\n\n`, 'overloaded'],
  ['no finish reason', `${chunk({ content: 'a' })}\n\n`, 'ended before'],
  ['invalid JSON', 'data: <html>\n\n', 'invalid JSON'],
])('throws on a stream with %s', async (_case, text, message) => {
  await expect(read(text)).rejects.toThrow(message)
})

test('throws ModelError when the response is not ok', async () => {
  const stream = openAiStream(new Response('{"error":"no such model"}', { status: 404 }))
  await expect(stream[Symbol.asyncIterator]().next()).rejects.toThrow(ModelError)
})
