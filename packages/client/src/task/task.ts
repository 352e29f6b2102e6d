import type { Store } from '../store.ts'

export type TaskStatus = 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled' | 'interrupted'

/** State of a long-running piece of work. */
export interface TaskState {
  readonly taskId: string
  /** `unknown` until its first event or snapshot arrives. */
  readonly status: TaskStatus | 'unknown'
  readonly kind?: string
  readonly title?: string
  /** 0 to 100. */
  readonly percent?: number
  readonly stage?: string
  /** The whole text so far, with no character lost or doubled. */
  readonly text: string
  /** The values of its `data` events, oldest first. */
  readonly data: readonly unknown[]
  readonly result?: unknown
  /** Present while `unknown`, if it waits because 36 tasks are followed already. */
  readonly waiting?: true
  /** Why the task failed, in the words of its producer. */
  readonly error?: string
}

/** One step of a task. A `snapshot` comes first. A later one replaces everything before it. */
export type TaskEvent =
  | { readonly type: 'snapshot'; readonly state: TaskState }
  | { readonly type: 'progress'; readonly percent?: number; readonly stage?: string }
  | { readonly type: 'append'; readonly text: string }
  | { readonly type: 'data'; readonly data: unknown }
  | { readonly type: 'finished'; readonly status: TaskStatus; readonly result?: unknown; readonly error?: string }

/**
 * One task. It is followed while it has subscriptions or iterations. An iteration ends after `finished`. For a slow reader, waiting events
 * are merged or replaced by a snapshot.
 */
export interface TaskHandle extends Store<TaskState>, AsyncIterable<TaskEvent> {
  readonly taskId: string
  /** Requests that the work stops. Resolves to whether the server accepted; never rejects. */
  readonly cancel: () => Promise<boolean>
}

/** An entry in the list of tasks. */
export interface TaskSummary {
  readonly taskId: string
  readonly status: TaskStatus
  readonly kind?: string
  readonly title?: string
}

/** The member's latest 50 tasks, newest first. */
export interface TasksState {
  readonly items: readonly TaskSummary[]
}
