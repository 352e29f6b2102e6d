import type { Store } from '../store.ts'

export type TaskStatus = 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled' | 'interrupted'

/** A long-running piece of work, as far as it is known. */
export interface TaskState {
  readonly taskId: string
  /** `unknown` until the first word about it. */
  readonly status: TaskStatus | 'unknown'
  readonly kind?: string
  readonly title?: string
  /** 0 to 100. */
  readonly percent?: number
  readonly stage?: string
  /** All text so far: no character lost or doubled. */
  readonly text: string
  /** What came as `data` events, oldest first. */
  readonly data: readonly unknown[]
  readonly result?: unknown
  readonly error?: string
}

/** One step of a task. `snapshot` comes first, and again whenever what came before is to be replaced by it. */
export type TaskEvent =
  | { readonly type: 'snapshot'; readonly state: TaskState }
  | { readonly type: 'progress'; readonly percent?: number; readonly stage?: string }
  | { readonly type: 'append'; readonly text: string }
  | { readonly type: 'data'; readonly data: unknown }
  | { readonly type: 'finished'; readonly status: TaskStatus; readonly result?: unknown; readonly error?: string }

/**
 * One task. It is followed while anybody subscribes to it or iterates over it. Iterating ends after `finished`; a slow reader gets what
 * it missed rolled up.
 */
export interface TaskHandle extends Store<TaskState>, AsyncIterable<TaskEvent> {
  readonly taskId: string
  /** Asks for the work to be stopped; whether the server accepted. Never rejects. */
  readonly cancel: () => Promise<boolean>
}

/** A line of the list of tasks. */
export interface TaskSummary {
  readonly taskId: string
  readonly status: TaskStatus
  readonly kind?: string
  readonly title?: string
}

/** The member's tasks as they were announced, newest first: the latest 50. */
export interface TasksState {
  readonly items: readonly TaskSummary[]
}
