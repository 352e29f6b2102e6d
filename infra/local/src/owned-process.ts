import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/** A process that cannot outlive this one, however this one ends. */
export interface OwnedProcess {
  readonly name: string
  readonly pid: number
  /** The last 200 lines it wrote. */
  readonly logs: readonly string[]
  /** Settles once, when it has ended; never rejects. */
  readonly exited: Promise<Exit>
  /** The first line, past or future, that `parse` makes something of. Rejects with the last log lines on exit or deadline. */
  firstLine<T>(parse: (line: string) => T | undefined, deadlineMs: number): Promise<T>
  /** Sends the signal (SIGKILL unless told otherwise) and waits for the end. */
  kill(signal?: NodeJS.Signals): Promise<Exit>
  /** SIGTERM, then SIGKILL once the deadline has passed. Idempotent. */
  stop(deadlineMs?: number): Promise<Exit>
  /** SIGSTOP: it keeps its connections and answers nothing. */
  pause(): void
  /** SIGCONT. */
  resume(): void
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface Command {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  /** Removed with all its content when this process dies without having stopped the child. */
  readonly temporaryDirectory?: string | undefined
  /** Told each line as it comes. */
  readonly onLine?: ((line: string) => void) | undefined
}

const keptLines = 200

export function spawnOwned({ name, command, args, cwd, env, temporaryDirectory, onLine }: Command): OwnedProcess {
  // A group of its own: Ctrl-C in a terminal reaches only us, and we end our parts in order.
  const child = spawn(command, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  const logs: string[] = []
  const listeners = new Set<(line: string) => void>()
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      logs.push(line)
      if (logs.length > keptLines) logs.shift()
      onLine?.(line)
      for (const listener of listeners) listener(line)
    })
  }
  const dismiss = child.pid === undefined ? () => {} : watchOver(child.pid, temporaryDirectory)
  const exited = new Promise<Exit>((resolve) => {
    child.on('error', (error) => {
      logs.push(error.message)
      if (child.pid === undefined) resolve({ code: null, signal: null })
    })
    child.on('close', (code, signal) => resolve({ code, signal }))
  }).finally(dismiss)

  const kill = (signal: NodeJS.Signals = 'SIGKILL') => {
    // The whole group: what the child started must not keep our end of its pipes open.
    if (signal === 'SIGKILL') killGroup(child)
    else child.kill(signal)
    return exited
  }
  return {
    name,
    pid: child.pid ?? -1,
    logs,
    exited,
    kill,
    firstLine: (parse, deadlineMs) =>
      new Promise((resolve, reject) => {
        const settle = (end: () => void) => {
          listeners.delete(read)
          clearTimeout(timer)
          end()
        }
        const read = (line: string) => {
          const parsed = parse(line)
          if (parsed !== undefined) settle(() => resolve(parsed))
        }
        const fail = (reason: string) => settle(() => reject(new Error([`${name} ${reason}`, ...logs.slice(-20)].join('\n'))))
        const timer = setTimeout(() => fail(`was not ready within ${deadlineMs} ms`), deadlineMs)
        listeners.add(read)
        void exited.then(({ code, signal }) => fail(`ended with ${signal ?? `exit code ${code}`}`))
        logs.slice().forEach(read)
      }),
    stop: async (deadlineMs = 20_000) => {
      const timer = setTimeout(() => void kill(), deadlineMs)
      child.kill('SIGCONT')
      const exit = await kill('SIGTERM')
      clearTimeout(timer)
      return exit
    },
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
  }
}

function killGroup({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid !== undefined && exitCode === null && signalCode === null) process.kill(-pid, 'SIGKILL')
}

/**
 * A shell that waits on a pipe from this process. Its end without a word means that this process has died, by SIGKILL even:
 * then it kills the child. A line tells it that the child is gone already.
 */
function watchOver(pid: number, temporaryDirectory = ''): () => void {
  const script = 'read -r word || { kill -s KILL -- "-$1"; [ -z "$2" ] || rm -rf -- "$2"; }'
  const watchdog = spawn('/bin/sh', ['-c', script, 'watchdog', String(pid), temporaryDirectory], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  watchdog.stdin.on('error', () => {})
  watchdog.unref()
  return () => watchdog.stdin.end('gone\n')
}
