import { nextTaskState, type Position, TaskMessage, TaskState } from '@tidings/protocol'
import type { History } from '../redis/broker.ts'
import { parseJson } from './parse-json.ts'
import type { Peer } from '../session/session.ts'

/** A task as it stands at a position of its channel. `state` is undefined when there is no such task, or none yet. */
export interface TaskSnapshot {
  readonly state: TaskState | undefined
  readonly position: Position
}

/** Asks notify-api for a task, with the member's own credentials; undefined when it has none for this member, or does not answer. */
export type StoredTask = (taskId: string, credentials: Peer['credentials']) => Promise<TaskState | undefined>

const pageLength = 1_000
const timeoutMs = 5_000
const beginning: Position = { epoch: 0, offset: 0 }

/**
 * Folds the history of a task's channel, which holds it whole while it runs and a while after. Undefined when the history is gone, or
 * does not reach back to the first event: then only notify-api knows the task.
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
  return async (taskId, { token, origin }) => {
    try {
      const response = await fetch(new URL(`/task/${taskId}`, notifyApiUrl), {
        headers: { cookie: `${memberCookie}=${token}`, origin },
        signal: AbortSignal.timeout(timeoutMs),
      })
      if (response.ok) return TaskState.safeParse(await response.json()).data
      await response.body?.cancel()
      return undefined
    } catch {
      return undefined // the client sees what comes live, and can ask for the task over HTTP
    }
  }
}
