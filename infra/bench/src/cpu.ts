import { readFileSync } from 'node:fs'

/** Unit of the times in `/proc/<pid>/stat` (USER_HZ), 100 on all usual Linux systems. */
const ticksPerSecond = 100
/** Positions of `utime` and `stime` among the fields after the process name: fields 14 and 15 of proc(5), counted from 1. */
const userTimeField = 11
const systemTimeField = 12

/** Returns the CPU time in seconds, user and system, that the processes have used so far with all their threads. Linux only. */
export function cpuSeconds(pids: readonly number[]): number {
  return pids.reduce((total, pid) => {
    // The process name is in parentheses and may contain spaces, the fields after it do not.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
    return total + (Number(fields[userTimeField]) + Number(fields[systemTimeField])) / ticksPerSecond
  }, 0)
}
