import { readdirSync, readFileSync } from 'node:fs'

/** Whether a process runs; one that has ended and waits for its parent to notice does not. Linux only. */
export function isAlive(pid: number): boolean {
  return (stat(pid)?.state ?? 'Z') !== 'Z'
}

/** All processes below this one as they are now. Linux only. */
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

/** See proc(5): the name in parentheses may itself hold spaces and parentheses. */
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
