import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { descendants, freeServicePort, type OwnedProcess, spawnOwned } from '@tidings/local'
import { onTestFinished } from 'vitest'

const root = join(import.meta.dirname, '../../..')
const readyMs = 90_000

export interface Started {
  readonly process: OwnedProcess
  readonly port: number
  readonly url: string
  /** All processes it started. */
  readonly pids: readonly number[]
  /** Of one of them, by a word of its command line. */
  pidOf(word: string): number
}

/** What `npm start` runs, in a process that ends with the test. */
export function npmStart(args: readonly string[], env: NodeJS.ProcessEnv = {}): OwnedProcess {
  const started = spawnOwned({
    name: 'npm start',
    command: process.execPath,
    args: [join(root, 'infra/local/run.mjs'), 'start', ...args],
    cwd: root,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
  })
  onTestFinished(async () => {
    await started.stop(30_000)
  })
  return started
}

/** `npm start` on a free port, once it is ready. */
export async function startedOnFreePort(): Promise<Started> {
  const port = await freeServicePort()
  const url = `http://localhost:${port}`
  onTestFinished(() => rmSync(join(root, '.local', String(port)), { recursive: true, force: true }))
  const started = npmStart([], { PORT: String(port) })
  await started.firstLine((line) => (line === `ready ${url}` ? true : undefined), readyMs)
  const pids = descendants(started.pid)
  const pidOf = (word: string) => {
    const found = pids.find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(word))
    if (!found) throw new Error(`no process of ${word}`)
    return found
  }
  return { process: started, port, url, pids, pidOf }
}
