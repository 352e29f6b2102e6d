import { type Agent, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'

/** The answer of a receiver. Its body is discarded. */
export interface Answer {
  readonly status: number
  /** The header `Retry-After`. */
  readonly retryAfter: string | undefined
}

export interface PostOptions {
  readonly agent: Agent
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** Longest time from the lookup of the host to the end of the answer. */
  readonly timeoutMs: number
}

/** A longer answer is cut off. */
const maxAnswerBytes = 65_536

/**
 * Posts a body, and resolves to the answer once it has ended or was cut off. Redirects are not followed. What follows the head of an answer
 * cannot make it fail.
 */
export function post(url: URL, { agent, headers, body, timeoutMs }: PostOptions): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const send = url.protocol === 'https:' ? requestHttps : requestHttp
    const request = send(url, { method: 'POST', agent, headers, signal: AbortSignal.timeout(timeoutMs) })
    let answer: Answer | undefined
    let failure: Error = new Error('the connection was closed')
    request.on('response', (response) => {
      let bytes = 0
      answer = { status: response.statusCode ?? 0, retryAfter: response.headers['retry-after'] }
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > maxAnswerBytes) request.destroy()
      })
      response.on('error', () => {})
    })
    request.on('error', (error) => (failure = error))
    request.on('close', () => (answer ? resolve(answer) : reject(failure)))
    request.end(body)
  })
}
