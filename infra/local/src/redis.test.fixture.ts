import { once } from 'node:events'
import { connect } from 'node:net'

/** Resolves to the first line of the reply to one command. */
export async function redisCommand(port: number, command: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(`${command}\r\n`)
  const [reply] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  return reply.toString().split('\r\n')[0] ?? ''
}
