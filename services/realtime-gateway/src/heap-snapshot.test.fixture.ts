import { closeSync, fstatSync, mkdtempSync, openSync, readdirSync, readFileSync, readSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { waitFor } from '@tidings/local'

/** Heap snapshots of a process that was started with `env`: V8 collects all garbage for each. */
export interface HeapSnapshots {
  readonly env: { readonly NODE_OPTIONS: string }
  /** Takes one, and answers its text. */
  take(pid: number): Promise<string>
  close(): void
}

export function heapSnapshots(): HeapSnapshots {
  const directory = mkdtempSync(join(tmpdir(), 'tidings-heap-'))
  return {
    env: { NODE_OPTIONS: `--heapsnapshot-signal=SIGWINCH --diagnostic-dir=${directory}` },
    async take(pid) {
      process.kill(pid, 'SIGWINCH')
      const name = await waitFor(() => readdirSync(directory)[0], { what: 'the heap snapshot', deadlineMs: 30_000 })
      const file = join(directory, name)
      await waitFor(() => endOf(file).trimEnd().endsWith(']}'), { what: 'all of the heap snapshot', deadlineMs: 60_000 })
      const text = readFileSync(file, 'utf8')
      rmSync(file)
      return text
    },
    close: () => rmSync(directory, { recursive: true, force: true }),
  }
}

/** The last octets of a file. */
function endOf(file: string): string {
  const descriptor = openSync(file, 'r')
  try {
    const octets = Buffer.alloc(4)
    return octets.toString('latin1', 0, readSync(descriptor, octets, 0, 4, Math.max(0, fstatSync(descriptor).size - 4)))
  } finally {
    closeSync(descriptor)
  }
}
