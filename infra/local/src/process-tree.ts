import { readdirSync, readFileSync } from 'node:fs'

/** Returns whether a process runs; a zombie does not. Linux only. */
export function isAlive(pid: number): boolean {
  return (stat(pid)?.state ?? 'Z') !== 'Z'
}

/** Returns the pids of all current descendants. Linux only. */
export function descendants(pid: number): number[] {
  const found: number[] = []
  const all = readdirSync('/proc')
    .map(Number)
    .filter(Number.isInteger)
    .map((each) => ({ pid: each, parent: stat(each)?.parent }))
  const collect = (parent: number) => {
    for (const child of all.filter((each) => each.parent === parent)) {
      found.push(child.pid)
      collect(child.pid)
    }
  }
  collect(pid)
  return found
}

/** Parses /proc/pid/stat (proc(5)): the name in parentheses may contain spaces and parentheses. */
function stat(pid: number): { state: string; parent: number } | undefined {
  try {
    const [state = '', parent] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    return { state, parent: Number(parent) }
  } catch {
    return undefined
  }
}
