import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { findProgram } from '@tidings/local'

const taskset = availableParallelism() > 1 ? findProgram('taskset') : undefined
/** Core of the servers that are compared. */
const serverCore = '0'
/** Cores of the load, the database and Redis. */
const otherCores = `1-${availableParallelism() - 1}`

/** Whether the compared servers have a core of their own. */
export const pinned = taskset !== undefined

/** Gives the core of the compared servers to a process. */
export function pinServer(pid: number): void {
  pin(pid, serverCore)
}

/** Keeps this process, and those that it starts from now on, off the core of the compared servers. */
export function pinLoad(): void {
  pin(process.pid, otherCores)
}

function pin(pid: number, cores: string): void {
  if (!taskset) return
  const { status, stderr } = spawnSync(taskset, ['--all-tasks', '--cpu-list', '--pid', cores, String(pid)], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`taskset: ${stderr}`)
}
