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
  if (event.type === 'data') return { ...state, status: 'running', data: [...state.data, event.data] }
  const { type, ...change } = event
  return type === 'progress' ? { ...state, status: 'running', ...change } : { ...state, ...change }
}
