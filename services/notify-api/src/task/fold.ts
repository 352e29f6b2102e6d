import { type TaskEvent, TaskFold, type TaskState } from '@tidings/protocol'
import type { TaskName } from './row.ts'

/** A task after these events, JSON as published, oldest first. */
export function foldTask(task: TaskName, bodies: readonly string[]): TaskState {
  const { memberId: _, ...name } = task
  const queued: TaskState = { ...name, status: 'queued', text: '', data: [] }
  const fold = new TaskFold(queued)
  for (const body of bodies) fold.add(JSON.parse(body) as TaskEvent)
  return fold.state ?? queued
}
