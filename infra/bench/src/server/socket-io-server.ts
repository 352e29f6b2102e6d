import { createAdapter } from '@socket.io/redis-adapter'
import { createVerifier } from 'fast-jwt'
import fastify from 'fastify'
import { Redis } from 'ioredis'
import { Server } from 'socket.io'
import { type NewNotification, notificationSchema, NotificationTable } from './notification-table.ts'

/**
 * Socket.IO as its documentation shows it: WebSocket only, the token checked in `allowRequest`, a room for each member, the Redis
 * adapter, and the HTTP API in the same process, with one INSERT in autocommit for each request.
 */
const { PORT, REDIS_URL, MYSQL_URL, MEMBER_JWT_SECRET, SERVICE_JWT_SECRET } = process.env

/** No pings while something is measured, as with the heart-beats of the other systems. */
const pingInterval = 300_000
const verifyMember = createVerifier({ key: String(MEMBER_JWT_SECRET) })
const verifyService = createVerifier({ key: String(SERVICE_JWT_SECRET) })
const table = new NotificationTable(String(MYSQL_URL))
await table.create()

const app = fastify()
const io = new Server(app.server, {
  adapter: createAdapter(new Redis(String(REDIS_URL)), new Redis(String(REDIS_URL))),
  transports: ['websocket'],
  serveClient: false,
  pingInterval,
  allowRequest(request, done) {
    try {
      memberOf(request.headers.cookie)
      done(undefined, true)
    } catch {
      done('unauthorized', false)
    }
  },
})
io.on('connection', (socket) => void socket.join(`member:${memberOf(socket.request.headers.cookie)}`))

app.post<{ Body: NewNotification }>('/notification/send', { schema: notificationSchema }, async (request, reply) => {
  verifyService(String(request.headers.authorization).replace('Bearer ', ''))
  const notificationId = await table.insert(request.body)
  io.to(`member:${request.body.memberId}`).emit('notification', { ...request.body, notificationId })
  return reply.code(201).send({ notificationId, memberId: request.body.memberId })
})
await app.listen({ host: '127.0.0.1', port: Number(PORT) })
console.log(JSON.stringify({ msg: 'listening', port: Number(PORT) }))

function memberOf(cookie = ''): string {
  const token = /access_token=([^;]+)/.exec(cookie)?.[1] ?? ''
  return (verifyMember(token) as { sub: string }).sub
}
