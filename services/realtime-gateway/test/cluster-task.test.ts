import {
  createDatabase,
  localOrigin,
  memberToken,
  type RawSession,
  type RedisCluster,
  type ServiceProcess,
  serviceToken,
  startRedisCluster,
  startService,
} from '@tidings/local'
import { nextTaskState, type TaskMessage, type TaskState } from '@tidings/protocol'
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { nextMessage, numberStrings, openSession, subscribe, waitUntilReady } from './fixture/gateway.ts'

let cluster: RedisCluster
let apis: readonly ServiceProcess[]
let gateway: ServiceProcess

beforeAll(async () => {
  cluster = await startRedisCluster()
  const MYSQL_URL = await createDatabase(inject('databaseServerUrl'), 'gateway_cluster_task')
  // A prefix must leave each channel and its keys on one slot.
  const shared = { REDIS_URL: cluster.url, CHANNEL_PREFIX: 'cluster-task' }
  const apiEnv = { ...shared, MYSQL_URL, PUBLISH_TIMEOUT_MS: '10000' }
  apis = await Promise.all([startService('notify-api', apiEnv), startService('notify-api', apiEnv)])
  gateway = await startService('realtime-gateway', { ...shared, NOTIFY_API_URL: apis[1]?.url })
  await waitUntilReady(gateway)
})
afterAll(async () => {
  await Promise.all([...(apis ?? []), gateway].map((service) => service?.kill()))
  await cluster?.close()
})

/** As many as it takes for each node to hold the channels of some of their tasks. */
const members = numberStrings(1, 12).map(Number)
const headers = { authorization: `Bearer ${serviceToken()}`, 'content-type': 'application/json' }

async function post(path: string, body: object, api = 0) {
  const response = await fetch(`${apis[api]?.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

async function newTask(memberId: number): Promise<string> {
  const taskId = randomUUID()
  expect(await post('/task', { taskId, memberId, kind: 'chat', title: '질문' })).toMatchObject({ status: 201 })
  return taskId
}

/** Applies TaskMessages to `initial` until the state satisfies `until`, and resolves to that state. */
async function readTaskUntil(session: RawSession, until: (state: TaskState) => boolean, initial?: TaskState): Promise<TaskState> {
  let state = initial
  while (state === undefined || !until(state)) {
    state = nextTaskState(state, JSON.parse((await nextMessage(session)).body) as TaskMessage)
  }
  return state
}

async function openTaskSession(memberId: number, taskId: string): Promise<RawSession> {
  const session = await openSession(gateway, { memberId })
  await subscribe(session, 'task', `/member/queue/task.${taskId}`)
  return session
}

test('delivers tasks on all nodes whole, to a session that subscribes first and to one that subscribes in the middle', async () => {
  await Promise.all(
    members.map(async (memberId) => {
      const taskId = await newTask(memberId)
      const postEvent = (body: object, api?: number) => post(`/task/${taskId}/event`, body, api)
      const early = await openTaskSession(memberId, taskId)
      expect(await postEvent({ type: 'progress', percent: 40, stage: '답변 작성' })).toMatchObject({ status: 202 })
      expect(await postEvent({ type: 'append', text: `${memberId}번: ` })).toMatchObject({ status: 202 })
      expect(await postEvent({ type: 'data', data: { memberId } }, 1)).toMatchObject({ status: 202 })
      const late = await openTaskSession(memberId, taskId)
      expect(await postEvent({ type: 'append', text: '끝' }, 1)).toMatchObject({ status: 202 })
      const end = { status: 'succeeded', result: { memberId }, notify: { message: '끝', redirectPath: '/' } }
      expect(await post(`/task/${taskId}/finish`, end)).toMatchObject({ status: 200 })
      const text = `${memberId}번: 끝`
      const { status, result } = end
      const expected = {
        taskId,
        kind: 'chat',
        title: '질문',
        status,
        percent: 40,
        stage: '답변 작성',
        text,
        data: [{ memberId }],
        result,
      }
      for (const session of [early, late])
        expect(await readTaskUntil(session, (state) => state.status === status)).toEqual(expected)
      const stored = await fetch(`${apis[1]?.url}/task/${taskId}`, { headers })
      expect(await stored.json()).toMatchObject({ ...expected, memberId })
    }),
  )
})

test('delivers a streamed text whole, and refuses the rest of the stream with 409 after a cancel', async () => {
  await Promise.all(
    members.map(async (memberId) => {
      const taskId = await newTask(memberId)
      const session = await openTaskSession(memberId, taskId)
      let upload: ReadableStreamDefaultController<Uint8Array> | undefined
      const body = new ReadableStream<Uint8Array>({ start: (controller) => void (upload = controller) })
      const streaming = fetch(`${apis[0]?.url}/task/${taskId}/stream?offset=0`, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'text/plain' },
        body,
        duplex: 'half',
      })
      let text = ''
      let state: TaskState | undefined
      for (const word of numberStrings(1, 20).map((each) => `낱말${each} `)) {
        text += word
        upload?.enqueue(Buffer.from(word))
        state = await readTaskUntil(session, ({ text: seen }) => seen === text, state)
      }
      const cancelling = await fetch(`${apis[1]?.url}/task/${taskId}/cancel`, {
        method: 'POST',
        headers: { cookie: `access_token=${memberToken(memberId)}`, origin: localOrigin, 'content-type': 'application/json' },
      })
      expect(cancelling.status).toBe(200)
      const refused = await streaming
      expect([refused.status, await refused.json()]).toMatchObject([409, { taskStatus: 'cancelled' }])
      expect(await readTaskUntil(session, ({ status }) => status === 'cancelled', state)).toMatchObject({ text })
    }),
  )
})

test('delivers a message to members on all nodes, and returns which of them are online', async () => {
  const online = members.slice(0, 6)
  const sessions = await Promise.all(online.map((memberId) => openSession(gateway, { memberId })))
  await Promise.all(
    sessions.map(async (session) => {
      await subscribe(session, 'cart', '/member/queue/cart')
      await subscribe(session, 'notification', '/member/queue/notification')
    }),
  )
  const presence = await post('/presence', { memberIds: members })
  expect(presence.body['members']).toEqual(members.map((memberId) => ({ memberId, online: online.includes(memberId) })))
  const sent = await post('/message', { destination: '/member/queue/cart', memberIds: members, body: { items: 1 } })
  expect(sent.body['messages']).toEqual(members.map((memberId) => ({ memberId, position: expect.stringMatching(/^\d+-1$/) })))
  for (const session of sessions) expect((await nextMessage(session)).body).toBe('{"items":1}')
})
