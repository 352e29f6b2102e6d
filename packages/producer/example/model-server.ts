import { createServer, type Server, type ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

export interface ModelServerOptions {
  /** Default: a free one. */
  readonly port?: number
  readonly tokens?: number
  readonly tokensPerSecond?: number
}

/**
 * Starts a stand-in for a model server, for tests and demos: it streams a generated answer in the format of an OpenAI-compatible chat
 * completion.
 */
export async function startModelServer({ port = 0, tokens = 5_000, tokensPerSecond = 150 }: ModelServerOptions = {}): Promise<{
  readonly url: string
  close(): void
}> {
  const server: Server = createServer((request, response) => {
    request.resume()
    if (request.method === 'POST' && request.url === '/v1/chat/completions') void answer(response, { tokens, tokensPerSecond })
    else response.writeHead(404).end()
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const address = server.address() as { port: number }
  return {
    url: `http://127.0.0.1:${address.port}`,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

/** Returns the answer that the server streams: always the same for one `count`, so that a test can compare it with what arrived. */
export function generatedTokens(count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const word = words[(index * 7 + Math.floor(index / words.length)) % words.length] as string
    return index % 40 === 39 ? `${word}.\n` : index % 11 === 10 ? `${word}, ` : `${word} `
  })
}

export const answerSources = [
  { type: 'url_citation', url_citation: { url: 'https://example.com/handbook#4', title: '운영 안내서 4장' } },
  { type: 'url_citation', url_citation: { url: 'https://example.com/faq', title: 'FAQ' } },
]

const words =
  '서울은 answer 오늘 the 맑고 of 알림이 a 도착했습니다 stream “따옴표” never 잃지 않고 loses 이어집니다 🚀 one 글자도 character'.split(
    ' ',
  )

async function answer(
  response: ServerResponse,
  { tokens, tokensPerSecond }: Required<Omit<ModelServerOptions, 'port'>>,
): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
  response.on('error', () => {})
  const send = (delta: object, finishReason: string | null = null) => {
    const chunk = {
      id: 'chatcmpl-1',
      object: 'chat.completion.chunk',
      choices: [{ index: 0, delta, finish_reason: finishReason }],
    }
    response.write(`data: ${JSON.stringify(chunk)}\n\n`)
  }
  send({ role: 'assistant', content: '', annotations: answerSources })
  const begin = performance.now()
  for (const [index, content] of generatedTokens(tokens).entries()) {
    const dueMs = begin + (index * 1_000) / tokensPerSecond - performance.now()
    if (dueMs > 0) await delay(dueMs)
    if (response.destroyed) return
    send({ content })
  }
  send({}, 'stop')
  response.write(`data: ${JSON.stringify({ choices: [], usage: { completion_tokens: tokens } })}\n\n`)
  response.end('data: [DONE]\n\n')
}
