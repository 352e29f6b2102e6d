import { once } from 'node:events'
import { connect } from 'node:net'
import { text as textOf } from 'node:stream/consumers'
import { waitFor } from '@tidings/local'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { call, hello, type NotifyApi, openStack, type Stack } from './fixture/notify-api.ts'
import { createTask } from './fixture/task.ts'

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/

let stack: Stack
let api: NotifyApi
const lines: Record<string, unknown>[] = []

beforeAll(async () => {
  stack = await openStack('request_id')
  api = await stack.start({ LOG_LEVEL: 'debug' }, { onLine: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) })
})
afterAll(() => stack.close())

/** Sends one request as bytes, and resolves to the response. */
async function exchange(bytes: string): Promise<string> {
  const socket = connect(api.port, '127.0.0.1')
  await once(socket, 'connect')
  socket.end(bytes)
  return textOf(socket)
}

test.each([
  ['a send', () => api.send(hello, { 'x-request-id': 'lb-1:2/3' })],
  ['a refusal', () => api.send({}, { 'x-request-id': 'lb-1:2/3' })],
  ['an unknown call', () => call(`${api.url}/nothing`, { headers: { 'x-request-id': 'lb-1:2/3' } })],
  ['a path that is no URL', () => call(`${api.url}/task/%`, { headers: { 'x-request-id': 'lb-1:2/3' } })],
])('the response to %s has the X-Request-Id of the request, a problem also as requestId', async (_, respond) => {
  const { headers, status, body } = await respond()
  expect(headers.get('x-request-id')).toBe('lb-1:2/3')
  expect(body['requestId']).toBe(status < 400 ? undefined : 'lb-1:2/3')
})

test.each([
  ['no id', {}],
  ['an empty id', { 'x-request-id': '' }],
  ['an id with other characters', { 'x-request-id': 'a b' }],
  ['an id of 129 characters', { 'x-request-id': 'a'.repeat(129) }],
])('a request with %s gets a new one', async (_, headers) => {
  const ids = [await api.send(hello, headers), await api.send(hello, headers)].map((each) => each.headers.get('x-request-id'))
  for (const id of ids) expect(id).toMatch(uuid)
  expect(ids[0]).not.toBe(ids[1])
})

test('a request that is not HTTP gets an id, too', async () => {
  const response = await exchange('POST /notification/send HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n')
  const [head = '', body = ''] = response.split('\r\n\r\n')
  const id = /^x-request-id: (.*)$/im.exec(head)?.[1]
  expect(id).toMatch(uuid)
  expect(JSON.parse(body)).toMatchObject({ status: 400, requestId: id })
})

test('a page of another Origin can read the id', async () => {
  const { headers } = await api.member(1).get('/notification')
  expect(headers.get('access-control-expose-headers')).toBe('X-Request-Id')
})

test('the log lines of a request have its id', async () => {
  await api.send({}, { 'x-request-id': 'refused-1' })
  const line = await waitFor(() => lines.find(({ requestId }) => requestId === 'refused-1'), { what: 'the line' })
  expect(line).toMatchObject({ msg: 'request refused', call: '/notification/send', status: 400 })
})

test('an upload that a stopping instance refuses costs no error line', async () => {
  const taskId = await createTask(api, 1)
  const body = new ReadableStream<Uint8Array>({ start: (controller) => controller.enqueue(new TextEncoder().encode('hello')) })
  const headers = { ...api.bearer, 'content-type': 'text/plain', 'x-request-id': 'stopped-1' }
  const upload = call(`${api.url}/task/${taskId}/stream`, { method: 'POST', headers, body, duplex: 'half' })
  await waitFor(async () => (await api.member(1).get(`/task/${taskId}`)).body['text'] === 'hello', { what: 'the text' })
  await api.stop()
  expect(await upload).toMatchObject({ status: 503, body: { requestId: 'stopped-1' } })
  expect(lines.filter(({ level }) => Number(level) > 30)).toEqual([])
  expect(lines.find(({ requestId }) => requestId === 'stopped-1')).toMatchObject({ level: 20, status: 503 })
})
