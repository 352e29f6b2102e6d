import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/** Unit of the times in `/proc/<pid>/stat` (USER_HZ), 100 on all usual Linux systems. */
const ticksPerSecond = 100
/** Positions of `utime` and `stime` among the fields after the process name: fields 14 and 15 of proc(5), counted from 1. */
const userTimeField = 11
const systemTimeField = 12
/** A process is idle when it uses less than this share of a core over one period. */
const idleShare = 0.06
const idlePeriodMs = 300
const idleDeadlineMs = 10_000

/** Returns the CPU time in seconds, user and system, that the processes have used so far with all their threads. Linux only. */
export function cpuSeconds(pids: readonly number[]): number {
  // `stat` counts in ticks of 10 ms, `schedstat` in nanoseconds but without threads that have ended.
  return pids.reduce((total, pid) => total + Math.max(tickSeconds(pid), scheduledSeconds(pid)), 0)
}

/** Returns the resident memory of a process in KiB. Linux only. */
export function residentKib(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
}

/** Returns the number of open file descriptors of a process. Linux only. */
export function descriptorCount(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

/** Resolves when the processes are idle, or after {@link idleDeadlineMs}. */
export async function untilIdle(pids: readonly number[]): Promise<void> {
  const deadline = performance.now() + idleDeadlineMs
  while (performance.now() < deadline) {
    const before = cpuSeconds(pids)
    await delay(idlePeriodMs)
    if (cpuSeconds(pids) - before <= (idleShare * idlePeriodMs) / 1_000) return
  }
}

function tickSeconds(pid: number): number {
  // The process name is in parentheses and may contain spaces, the fields after it do not.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[userTimeField]) + Number(fields[systemTimeField])) / ticksPerSecond
}

function scheduledSeconds(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).reduce((total, thread) => total + threadSeconds(pid, thread), 0)
}

function threadSeconds(pid: number, thread: string): number {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1e9
  } catch {
    // The thread has ended since, or the kernel keeps no such statistics.
    return 0
  }
}
