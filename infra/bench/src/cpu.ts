import { readFileSync } from 'node:fs'

const ticksPerSecond = 100

/** CPU seconds that the processes have used so far, user and system, all threads. Linux. */
export function cpuSeconds(pids: readonly number[]): number {
  return pids.reduce((total, pid) => {
    // The name may hold spaces; the fields after it do not.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
    return total + (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
  }, 0)
}
