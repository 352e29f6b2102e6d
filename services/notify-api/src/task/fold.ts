import { nextTaskState, type TaskEvent, type TaskState } from '@tidings/protocol'
import type { TaskName } from './row.ts'

/** A task after these events, JSON as published, oldest first. */
export function foldTask(task: TaskName, bodies: readonly string[]): TaskState {
  const { memberId: _, ...name } = task
  const queued: TaskState = { ...name, status: 'queued', text: '', data: [] }
  return bodies.reduce((state, body) => nextTaskState(state, JSON.parse(body) as TaskEvent) ?? state, queued)
}
