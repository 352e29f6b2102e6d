import { nextTaskState, type Position, TaskMessage, TaskState } from '@tidings/protocol'
import type { History } from '../redis/broker.ts'
import { type Credentials, credentialHeaders } from './credentials.ts'
import { parseJson } from './parse-json.ts'

/** A task at a position of its channel. `state` is undefined when there is no such task, or not yet. */
export interface TaskSnapshot {
  readonly state: TaskState | undefined
  readonly position: Position
}

/**
 * Reads a task from notify-api with the member's own credentials. Resolves to undefined when the member has no such task, or when
 * notify-api does not respond; never rejects.
 */
export type StoredTask = (taskId: string, credentials: Credentials) => Promise<TaskState | undefined>

const pageLength = 1_000
const timeoutMs = 5_000
const beginning: Position = { epoch: 0, offset: 0 }

/**
 * Folds the history of a task's channel, which holds the whole task while it runs and for a while after. Resolves to undefined when the
 * history is gone, or does not reach back to the first event: then only notify-api knows the task.
 */
export async function foldTask(history: History, channel: string): Promise<TaskSnapshot | undefined> {
  let state: TaskState | undefined
  let position = beginning
  for (;;) {
    const page = await history.after(channel, position, pageLength)
    if (position === beginning && page.publications[0]?.position?.offset !== 1) return undefined
    if (position !== beginning && !page.whole) return undefined
    for (const publication of page.publications) {
      const message = TaskMessage.safeParse(parseJson(publication.body))
      if (message.success) state = nextTaskState(state, message.data)
      position = publication.position ?? position
    }
    if (page.publications.length < pageLength) return state && { state, position }
  }
}

export function storedTaskOf(notifyApiUrl: string, memberCookie: string): StoredTask {
  return async (taskId, credentials) => {
    try {
      const response = await fetch(new URL(`/task/${taskId}`, notifyApiUrl), {
        headers: credentialHeaders(credentials, memberCookie),
        signal: AbortSignal.timeout(timeoutMs),
      })
      if (response.ok) return TaskState.safeParse(await response.json()).data
      await response.body?.cancel()
      return undefined
    } catch {
      return undefined // the client receives what is published from now on, and can read the task over HTTP
    }
  }
}
