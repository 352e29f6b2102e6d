import { createRequire } from 'node:module'
import { RxStomp } from '@stomp/rx-stomp'
import { Client, Versions } from '@stomp/stompjs'
import { localOrigin, memberToken, type ServiceProcess, waitFor } from '@tidings/local'
import { firstValueFrom } from 'rxjs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { over as webstompOver } from 'webstomp-client'
import { WebSocket } from 'ws'
import { fetchOps, type GatewayStack, startGatewayStack } from './fixture/gateway.ts'

/** The part of stompjs 2.3.3 that is used here. The package has no types. */
interface Stompjs {
  setInterval: (periodMs: number, beat: () => void) => NodeJS.Timeout
  clearInterval: (timer: NodeJS.Timeout) => void
  over(socket: WebSocket): {
    debug: unknown
    onreceipt: (frame: { headers: Record<string, string> }) => void
    connect(
      headers: object,
      connected: (frame: { headers: Record<string, string> }) => void,
      failed: (error: unknown) => void,
    ): void
    subscribe(
      destination: string,
      callback: (message: { headers: Record<string, string>; body: string; ack(): void }) => void,
      headers?: object,
    ): { unsubscribe(): void }
    send(destination: string, headers: object, body: string): void
    disconnect(callback: () => void, headers?: object): void
  }
}
const require = createRequire(import.meta.url)
// stompjs expects both functions in a browser's `window`.
const { Stomp } = require('stompjs/lib/stomp.js') as { Stomp: Stompjs }
Stomp.setInterval = (periodMs, beat) => setInterval(beat, periodMs)
Stomp.clearInterval = (timer) => clearInterval(timer)

let stack: GatewayStack
let gateway: ServiceProcess

beforeAll(async () => {
  stack = await startGatewayStack()
  gateway = await stack.startGateway()
})
afterAll(() => stack.close())

const destination = '/member/queue/notification'

function openSocket(memberId: number, protocols: string[], { url } = gateway): WebSocket {
  const headers = { cookie: `access_token=${memberToken(memberId)}`, origin: localOrigin }
  return new WebSocket(`${url.replace('http', 'ws')}/ws`, protocols, { headers })
}

async function sessionsOf(memberId: number) {
  const { sessions } = JSON.parse((await fetchOps(gateway, `/session?memberId=${memberId}`)).text) as {
    sessions: { version: string; subscriptions: { unackedMessages: number }[] }[]
  }
  return sessions
}

async function waitUntilAcknowledged(memberId: number): Promise<void> {
  await waitFor(async () => (await sessionsOf(memberId))[0]?.subscriptions[0]?.unackedMessages === 0, {
    what: 'the ACK',
    deadlineMs: 20_000,
  })
}

test('@stomp/stompjs 7 connects with a cookie, subscribes with receipts, acknowledges, resumes, and disconnects with a receipt', async () => {
  const bodies: string[] = []
  const receipts: Record<string, string>[] = []
  const client = new Client({
    webSocketFactory: () => openSocket(1, ['v12.stomp', 'v11.stomp', 'v10.stomp']),
    heartbeatIncoming: 10_000,
    heartbeatOutgoing: 10_000,
    reconnectDelay: 0,
  })
  await new Promise<void>((resolve, reject) => {
    client.onConnect = () => resolve()
    client.onStompError = (frame) => reject(new Error(frame.body))
    client.onWebSocketError = () => reject(new Error('no connection'))
    client.activate()
  })
  expect(client.connectedVersion).toBe('1.2')
  client.watchForReceipt('subscribed', ({ headers }) => receipts.push(headers))
  client.subscribe(
    destination,
    (message) => {
      bodies.push(message.body)
      message.ack({ receipt: 'acked' })
    },
    { ack: 'client-individual', receipt: 'subscribed' },
  )
  await waitFor(() => receipts.length, { what: 'the RECEIPT', deadlineMs: 20_000 })
  expect(receipts[0]).toMatchObject({ position: expect.stringMatching(/^\d{15}-0$/) })
  const acked = new Promise<void>((resolve) => client.watchForReceipt('acked', () => resolve()))
  await stack.publisher.publish('member:1:notification', '{"message":"새로운 알림"}')
  await acked
  expect(bodies).toEqual(['{"message":"새로운 알림"}'])
  await waitUntilAcknowledged(1)
  const resumed = new Promise<string>((resolve) =>
    client.watchForReceipt('resumed', (frame) => resolve(frame.headers['recovered'] ?? '')),
  )
  client.subscribe(destination, ({ body }) => bodies.push(`again ${body}`), {
    'last-message-id': receipts[0]?.['position'] ?? '',
    receipt: 'resumed',
  })
  expect(await resumed).toBe('true')
  await waitFor(() => bodies.length === 2, { what: 'the resumed message', deadlineMs: 20_000 })
  client.disconnectHeaders = { receipt: 'bye' }
  const closed = new Promise<number>((resolve) => (client.onWebSocketClose = (event: { code: number }) => resolve(event.code)))
  await client.deactivate()
  expect(await closed).toBe(1000)
})

test('@stomp/stompjs 7 receives and acknowledges a message in STOMP 1.0 and 1.1', async () => {
  for (const [memberId, version] of [
    [11, '1.1'],
    [12, '1.0'],
  ] as const) {
    const bodies: string[] = []
    const client = new Client({
      webSocketFactory: () => openSocket(memberId, ['v11.stomp', 'v10.stomp']),
      stompVersions: new Versions([version]),
    })
    await new Promise<void>((resolve) => {
      client.onConnect = () => resolve()
      client.activate()
    })
    expect(client.connectedVersion).toBe(version)
    const subscribed = new Promise<void>((resolve) => client.watchForReceipt('subscribed', () => resolve()))
    client.subscribe(
      destination,
      (message) => {
        bodies.push(message.body)
        message.ack()
      },
      { receipt: 'subscribed' },
    )
    await subscribed
    await stack.publisher.publish(`member:${memberId}:notification`, '{}')
    await waitFor(() => bodies.length, { what: 'the message', deadlineMs: 20_000 })
    await client.deactivate()
  }
})

test('stompjs 2.3.3 connects, subscribes, acknowledges, unsubscribes, sends, and disconnects', async () => {
  const client = Stomp.over(openSocket(2, ['v10.stomp', 'v11.stomp', 'v12.stomp']))
  client.debug = null
  const connected = await new Promise<{ headers: Record<string, string> }>((resolve, reject) =>
    client.connect({}, resolve, reject),
  )
  expect(connected.headers).toMatchObject({ 'user-name': '2', 'heart-beat': '10000,10000' })
  const bodies: string[] = []
  const nextReceipt = () =>
    new Promise<string>((resolve) => (client.onreceipt = ({ headers }) => resolve(headers['receipt-id'] ?? '')))
  const subscribed = nextReceipt()
  const subscription = client.subscribe(
    destination,
    (message) => {
      bodies.push(message.body)
      message.ack()
    },
    { ack: 'client-individual', receipt: 'subscribed' },
  )
  expect(await subscribed).toBe('subscribed')
  await stack.publisher.publish('member:2:notification', '{"message":"새로운 알림이 도착했습니다."}')
  await waitFor(() => bodies.length, { what: 'the message', deadlineMs: 20_000 })
  expect(bodies).toEqual(['{"message":"새로운 알림이 도착했습니다."}'])
  await waitUntilAcknowledged(2)
  subscription.unsubscribe()
  await waitFor(async () => (await sessionsOf(2))[0]?.subscriptions.length === 0, {
    what: 'UNSUBSCRIBE',
    deadlineMs: 20_000,
  })
  const receipt = nextReceipt()
  client.send('/publish/notification/read', { receipt: 'sent' }, '{"notificationId":1}')
  expect(await receipt).toBe('sent')
  await new Promise<void>((resolve) => client.disconnect(resolve, { receipt: 'bye' }))
  await waitFor(async () => (await sessionsOf(2)).length === 0, { what: 'the end of the session', deadlineMs: 20_000 })
})

test('webstomp-client connects, subscribes, acknowledges, and disconnects with a receipt', async () => {
  const client = webstompOver(openSocket(3, ['v10.stomp', 'v11.stomp', 'v12.stomp']), {
    debug: false,
    heartbeat: { outgoing: 10_000, incoming: 10_000 },
  })
  await new Promise<void>((resolve, reject) => client.connect({}, () => resolve(), reject))
  const bodies: string[] = []
  const nextReceipt = () =>
    new Promise<string>((resolve) => (client.onreceipt = (frame) => resolve(String(frame.headers['receipt-id']))))
  const subscribed = nextReceipt()
  client.subscribe(
    destination,
    (message) => {
      bodies.push(message.body)
      message.ack()
    },
    { ack: 'client', receipt: 'subscribed' },
  )
  expect(await subscribed).toBe('subscribed')
  await stack.publisher.publish('member:3:notification', '{"message":"새로운 알림"}')
  await waitFor(() => bodies.length, { what: 'the message', deadlineMs: 20_000 })
  expect(bodies).toEqual(['{"message":"새로운 알림"}'])
  await waitUntilAcknowledged(3)
  const receipt = nextReceipt()
  client.disconnect(() => {}, { receipt: 'bye' })
  expect(await receipt).toBe('bye')
  await waitFor(async () => (await sessionsOf(3)).length === 0, { what: 'the end of the session', deadlineMs: 20_000 })
})

test('@stomp/rx-stomp connects, subscribes, acknowledges, and disconnects', async () => {
  const client = new RxStomp()
  client.configure({ webSocketFactory: () => openSocket(4, ['v12.stomp']), reconnectDelay: 0 })
  client.activate()
  await firstValueFrom(client.connected$)
  const subscribed = new Promise<void>((resolve) => client.watchForReceipt('subscribed', () => resolve()))
  const first = firstValueFrom(client.watch(destination, { ack: 'client', receipt: 'subscribed' }))
  await subscribed
  await stack.publisher.publish('member:4:notification', '{"message":"새로운 알림"}')
  const message = await first
  expect(message.body).toBe('{"message":"새로운 알림"}')
  const acked = new Promise<void>((resolve) => client.watchForReceipt('acked', () => resolve()))
  message.ack({ receipt: 'acked' })
  await acked
  await client.deactivate()
  await waitFor(async () => (await sessionsOf(4)).length === 0, { what: 'the end of the session', deadlineMs: 20_000 })
})

test('a stock client too many does not displace the others again and again', async () => {
  const crowded = await stack.startGateway({ MAX_SESSIONS_PER_MEMBER: '3' })
  const closes: number[] = []
  const clients = Array.from({ length: 4 }, () => {
    const client = new Client({
      webSocketFactory: () => openSocket(9, ['v12.stomp'], crowded),
      reconnectDelay: 100,
      heartbeatIncoming: 0,
      heartbeatOutgoing: 0,
      onWebSocketClose: ({ code }) => closes.push(code),
      onWebSocketError: () => {},
    })
    client.activate()
    return client
  })
  const refused = () => closes.filter((code) => code === 1006).length
  await waitFor(() => refused() >= 30, { what: '30 refused upgrades', deadlineMs: 40_000 })
  expect(closes.filter((code) => code === 4409)).toHaveLength(2)
  expect(clients.filter((client) => client.connected)).toHaveLength(3)
  await Promise.all(clients.map((client) => client.deactivate()))
})
