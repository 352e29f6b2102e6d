// A process of its own with one session, so that it can be stopped as a whole. Arguments: url of the gateway, a member's token,
// destinations.
import { argv } from 'node:process'
import { WebSocket } from 'ws'

const [, , url = '', token = '', ...destinations] = argv
const socket = new WebSocket(url, ['v12.stomp'], {
  headers: { cookie: `access_token=${token}`, origin: 'http://localhost:8080' },
})
socket.on('open', () => {
  socket.send('CONNECT\naccept-version:1.2\nheart-beat:0,0\n\n\0')
  for (const destination of destinations) socket.send(`SUBSCRIBE\nid:${destination}\ndestination:${destination}\n\n\0`)
  socket.send('BEGIN\ntransaction:t\nreceipt:r\n\n\0')
})
socket.on('message', (data: Buffer) => {
  if (data.toString().startsWith('RECEIPT')) console.log('subscribed')
})
