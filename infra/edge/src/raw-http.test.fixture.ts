import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** Long enough for the server to have read one part before the next one is sent. */
const betweenPartsMs = 50
const deadlineMs = 10_000

/**
 * Sends the parts of one request as they are, in writes of their own. Resolves to the bytes of the response: all headers, and the body
 * up to Content-Length, or everything until the server closes the connection.
 */
export async function exchange(port: number, ...parts: readonly string[]): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  try {
    const response = new Promise<string>((resolve, reject) => {
      let received = ''
      socket.setTimeout(deadlineMs, () => reject(new Error(`no whole response within ${deadlineMs} ms: ${received}`)))
      socket.on('error', reject)
      socket.on('end', () => resolve(received))
      socket.on('data', (chunk) => {
        received += chunk.toString('latin1')
        if (isWhole(received)) resolve(received)
      })
    })
    response.catch(() => {})
    for (const [index, part] of parts.entries()) {
      if (index > 0) await delay(betweenPartsMs)
      socket.write(part)
    }
    return await response
  } finally {
    socket.destroy()
  }
}

function isWhole(received: string): boolean {
  const [head = '', body] = received.split('\r\n\r\n', 2)
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1]
  return body !== undefined && length !== undefined && body.length >= Number(length)
}
