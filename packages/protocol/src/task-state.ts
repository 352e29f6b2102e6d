import type { TaskEvent, TaskMessage, TaskState } from './task-message.ts'

/**
 * Returns the state of a task after `message` (TASK.md, Message bodies). A `snapshot` or `created` replaces `state`; any other
 * message is applied to it. Returns undefined for an event before the first `snapshot` or `created`. Does not modify `state`.
 */
export function nextTaskState(state: TaskState | undefined, message: TaskMessage): TaskState | undefined {
  if (message.type === 'snapshot') {
    const { type: _, ...snapshot } = message
    return snapshot
  }
  if (message.type === 'created') {
    const { type: _, ...name } = message
    return { ...name, status: 'queued', text: '', data: [] }
  }
  return state && applied(state, message)
}

function applied(state: TaskState, event: Exclude<TaskEvent, { type: 'created' }>): TaskState {
  if (event.type === 'append') return { ...state, status: 'running', text: state.text + event.text }
  if (event.type === 'data') return { ...state, status: 'running', data: [...state.data, ...event.data] }
  const { type, ...change } = event
  return type === 'progress' ? { ...state, status: 'running', ...change } : { ...state, ...change }
}

/**
 * Folds the messages of one task into its state: equal to `nextTaskState` of each in turn, in time linear in their number. `add`
 * modifies the state that `state` returned before.
 */
export class TaskFold {
  #state: TaskState | undefined

  /** `state`: the state before the first message. It is not modified. */
  constructor(state?: TaskState) {
    this.#state = withOwnData(state)
  }

  get state(): TaskState | undefined {
    return this.#state
  }

  add(message: TaskMessage): void {
    if (message.type === 'data') {
      if (!this.#state) return
      this.#state.status = 'running'
      for (const value of message.data) this.#state.data.push(value)
    } else {
      const state = nextTaskState(this.#state, message)
      this.#state = message.type === 'snapshot' ? withOwnData(state) : state
    }
  }
}

function withOwnData(state: TaskState | undefined): TaskState | undefined {
  return state && { ...state, data: [...state.data] }
}
