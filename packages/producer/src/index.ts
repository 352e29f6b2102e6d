export { createTask, runTask, type TaskOptions } from './create-task.ts'
export * from './open-ai-stream.ts'
export { TaskOver, TaskRefused } from './problem.ts'
export type { FinishOptions, Task } from './task.ts'
