import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Position, TaskFold, TaskMessage, TaskState } from '@tidings/protocol'
import type { History } from '../redis/broker.ts'
import { hasMore } from '../redis/history-page.ts'
import { type Credentials, credentialHeaders } from './credentials.ts'
import { parseJson } from './parse-json.ts'

/** A task at a position of its channel. */
export interface TaskSnapshot {
  /** Body of the message `snapshot`. */
  readonly body: Buffer
  readonly position: Position
}

/**
 * Reads a task from notify-api with the member's own credentials. Resolves to undefined when the member has no such task, or when
 * notify-api does not respond; never rejects.
 */
export type StoredTask = (taskId: string, credentials: Credentials) => Promise<TaskState | undefined>

/** Events that are folded before other sessions have their turn. */
const pageLength = 500
const timeoutMs = 5_000
const beginning: Position = { epoch: 0, offset: 0 }

/** Folds the histories of tasks. Clients that join a task while its history is being folded share the fold, and its bytes. */
export class TaskSnapshots {
  readonly #history: History
  readonly #folding = new Map<string, Promise<TaskSnapshot | undefined>>()

  constructor(history: History) {
    this.#history = history
  }

  /**
   * Resolves to the task as of some position, which may be older than this call: what follows it is in the history. Resolves to
   * undefined when the history is gone, or does not reach back to the first event: then only notify-api knows the task.
   */
  async of(channel: string): Promise<TaskSnapshot | undefined> {
    const shared = await this.#folding.get(channel)
    // An undefined result may be older than the first event of the task.
    return shared ?? this.#folding.get(channel) ?? this.#fold(channel)
  }

  #fold(channel: string): Promise<TaskSnapshot | undefined> {
    const folding = foldTask(this.#history, channel).finally(() => this.#folding.delete(channel))
    this.#folding.set(channel, folding)
    return folding
  }
}

/** Folds the history of a task's channel, which holds the whole task while it runs and for a while after. */
async function foldTask(history: History, channel: string): Promise<TaskSnapshot | undefined> {
  const fold = new TaskFold()
  let position = beginning
  for (;;) {
    const page = await history.after(channel, position, pageLength)
    if (position === beginning && page.publications[0]?.position?.offset !== 1) return undefined
    if (position !== beginning && !page.whole) return undefined
    for (const publication of page.publications) {
      const message = TaskMessage.safeParse(parseJson(publication.body))
      if (message.success) fold.add(message.data)
      position = publication.position ?? position
    }
    if (!hasMore(page)) return fold.state && { body: snapshotBody(fold.state), position }
    await nextTurn()
  }
}

/** Returns the body of the message `snapshot`. */
export function snapshotBody(state: TaskState): Buffer {
  return Buffer.from(JSON.stringify({ type: 'snapshot', ...state }))
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
