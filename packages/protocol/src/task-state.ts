import type { TaskEvent, TaskMessage, TaskState } from './task-message.ts'

/**
 * What a task is after one more message: a `snapshot` or `created` begins it anew, an event moves it on. Undefined as long as neither
 * came. The state given is not changed.
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
  return state && moved(state, message)
}

function moved(state: TaskState, event: Exclude<TaskEvent, { type: 'created' }>): TaskState {
  if (event.type === 'append') return { ...state, status: 'running', text: state.text + event.text }
  if (event.type === 'data') return { ...state, status: 'running', data: [...state.data, event.data] }
  const { type, ...change } = event
  return type === 'progress' ? { ...state, status: 'running', ...change } : { ...state, ...change }
}
