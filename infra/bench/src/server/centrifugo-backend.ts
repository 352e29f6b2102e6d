import { createVerifier } from 'fast-jwt'
import fastify from 'fastify'
import { type NewNotification, notificationSchema, NotificationTable } from './notification-table.ts'

/** An API as one writes it in front of Centrifugo: checks the token, one INSERT in autocommit, then a call of Centrifugo's API. */
const { PORT, MYSQL_URL, SERVICE_JWT_SECRET, CENTRIFUGO_URL, CENTRIFUGO_KEY } = process.env

const verifyService = createVerifier({ key: String(SERVICE_JWT_SECRET) })
const table = new NotificationTable(String(MYSQL_URL))
await table.create()
const app = fastify()
app.post<{ Body: NewNotification }>('/notification/send', { schema: notificationSchema }, async (request, reply) => {
  verifyService(String(request.headers.authorization).replace('Bearer ', ''))
  const notificationId = await table.insert(request.body)
  const { memberId } = request.body
  const published = await fetch(`${CENTRIFUGO_URL}/api/publish`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': String(CENTRIFUGO_KEY) },
    body: JSON.stringify({ channel: `member:notification#${memberId}`, data: { ...request.body, notificationId } }),
  })
  if (!published.ok) throw new Error(await published.text())
  await published.arrayBuffer()
  return reply.code(201).send({ notificationId, memberId })
})
await app.listen({ host: '127.0.0.1', port: Number(PORT) })
console.log(JSON.stringify({ msg: 'listening', port: Number(PORT) }))
