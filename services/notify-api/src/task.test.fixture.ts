import { randomUUID } from 'node:crypto'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { text as textOf } from 'node:stream/consumers'
import { serviceToken } from '@tidings/local'
import { nextTaskState, type TaskMessage, type TaskState } from '@tidings/protocol'
import { call, type Listener, type NotifyApi, type Stack } from './notify-api.test.fixture.ts'

/** A new task of this member. */
export async function createTask(api: NotifyApi, memberId: number, more: Record<string, unknown> = {}): Promise<string> {
  const { status, text } = await api.post('/task', { memberId, kind: 'chat', title: '질문', ...more })
  if (status !== 201) throw new Error(`POST /task answered ${status} ${text}`)
  return (JSON.parse(text) as { taskId: string }).taskId
}

/** As a backend: a member may not ask this often. */
export async function readTask(api: NotifyApi, taskId: string): Promise<Readonly<Record<string, unknown>>> {
  return (await call(`${api.url}/task/${taskId}`, { headers: { authorization: `Bearer ${serviceToken()}` } })).body
}

export const newTaskId = () => randomUUID()

export function listenToTask(stack: Stack, memberId: number, taskId: string): Promise<Listener> {
  return stack.listen(`member:${memberId}:task.${taskId}`)
}

/** What a browser makes of what came on a task's channel. */
export function folded(listener: Listener): TaskState | undefined {
  return listener.publications.reduce<TaskState | undefined>(
    (state, { body }) => nextTaskState(state, body as unknown as TaskMessage),
    undefined,
  )
}

/** An upload by hand, to be cut where a test wants. */
export interface Upload {
  readonly request: ClientRequest
  readonly answer: Promise<{ status: number; body: Record<string, unknown> }>
}

export function upload(
  api: NotifyApi,
  taskId: string,
  { contentType = 'text/plain', offset }: { contentType?: string; offset?: number } = {},
): Upload {
  const query = offset === undefined ? '' : `?offset=${offset}`
  const sending = request(`${api.url}/task/${taskId}/stream${query}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${serviceToken()}`, 'content-type': contentType },
  })
  const answer = new Promise<{ status: number; body: Record<string, unknown> }>((resolve, reject) => {
    sending.on('error', reject)
    sending.on('response', (response: IncomingMessage) => {
      textOf(response).then(
        (body) => resolve({ status: response.statusCode ?? 0, body: JSON.parse(body) as Record<string, unknown> }),
        reject,
      )
    })
  })
  answer.catch(() => {})
  sending.flushHeaders()
  return { request: sending, answer }
}
