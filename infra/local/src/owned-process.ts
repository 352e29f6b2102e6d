import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/** A child process that never outlives this process, however this process ends. */
export interface OwnedProcess {
  readonly name: string
  readonly pid: number
  /** The last 2,000 lines it wrote. */
  readonly logs: readonly string[]
  /** Resolves when the process has ended; never rejects. */
  readonly exited: Promise<Exit>
  /** Resolves to the first defined result of `parse`, over past and future lines. Rejects with the last lines on exit or deadline. */
  firstLine<T>(parse: (line: string) => T | undefined, deadlineMs: number): Promise<T>
  /** Sends the signal (SIGKILL by default) and resolves when the process has ended. */
  kill(signal?: NodeJS.Signals): Promise<Exit>
  /** Sends SIGTERM, and SIGKILL once the deadline has passed. Idempotent. */
  stop(deadlineMs?: number): Promise<Exit>
  /** Sends SIGSTOP: connections stay open and get no response. */
  pause(): void
  /** Sends SIGCONT. */
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
  /** Removed when this process dies without having stopped the child. */
  readonly temporaryDirectory?: string | undefined
  /** Called with each line. */
  readonly onLine?: ((line: string) => void) | undefined
}

const keptLines = 2_000

export function spawnOwned({ name, command, args, cwd, env, temporaryDirectory, onLine }: Command): OwnedProcess {
  // A process group of its own: Ctrl-C in a terminal reaches this process only, which stops its children in order.
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
    // The whole group: a grandchild would keep the pipes open.
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
 * Starts a shell that reads from a pipe of this process. End of file without a line means that this process has died, even by SIGKILL:
 * the shell then kills the child. Returns a function that dismisses the shell with a line, once the child has ended.
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
