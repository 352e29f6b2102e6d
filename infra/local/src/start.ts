import { join, relative } from 'node:path'
import { runMainJob } from './check.ts'
import { freeServicePort, isFree } from './free-port.ts'
import { Refusal } from './refusal.ts'
import { Stack, type Step } from './stack.ts'
import { serviceToken } from './token.ts'

const root = join(import.meta.dirname, '../../..')
const defaultPort = 8080

/** Runs `npm start` until a signal or the end of a process, or `npm start -- --check` until one notification has arrived or failed. */
export async function start(args: readonly string[], step: Step): Promise<void> {
  const checking = args.includes('--check')
  const port = checking ? await freeServicePort() : wantedPort()
  if (!(await isFree(port))) throw new Refusal(`Port ${port} is taken (\`lsof -i :${port}\` shows by what). ${elsewhere}`)
  const directory = checking ? undefined : join(root, '.local', String(port))
  let ending: Promise<never> | undefined
  const end = (exitCode: number, reason: string) => {
    if (ending) return
    console.log(`\n${reason}`)
    ending = stack.stop().then(() => process.exit(exitCode))
  }
  const stack = new Stack({
    port,
    directory,
    step,
    onDeath: ({ name, logs }, { code, signal }) =>
      end(
        1,
        [`${name} ended with ${signal ?? `exit code ${code}`}. Its last lines:`, ...logs.slice(-20), '', 'stopping'].join('\n'),
      ),
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => end(0, 'stopping'))
  if (startedByNpm) onParentGone(() => end(0, 'stopping'))

  try {
    await stack.start()
    if (checking) end(0, await runMainJob(stack.url))
    else console.log(closingBlock(stack.url, directory))
  } catch (error) {
    end(1, `${error instanceof Error ? error.message : String(error)}\n\n${stack.lastLogLines}`.trimEnd())
  }
}

const startedByNpm = process.env['npm_lifecycle_event'] === 'start'
const parentCheckMs = 500

/** npm passes SIGINT and SIGTERM on. When anything else ends it, this process gets another parent. */
function onParentGone(listener: () => void): void {
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    listener()
  }, parentCheckMs)
}

const elsewhere = 'Stop that program, or take another port: PORT=8090 npm start'

function wantedPort(): number {
  const port = Number(process.env['PORT'] || defaultPort)
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port
  throw new Refusal(`PORT=${process.env['PORT']} is not a port. Take another one: PORT=8090 npm start`)
}

function closingBlock(url: string, directory = ''): string {
  const body = JSON.stringify({ memberId: 7, message: 'Your report is ready', redirectPath: '/report' })
  const token = serviceToken({ expiresInSeconds: 86_400 })
  return `
Sign in as member 7 and watch:  ${url}
Post a notification:
curl -sS ${url}/notification/send -H 'content-type: application/json' -H 'authorization: Bearer ${token}' -d '${body}'
Logs: ${relative(process.cwd(), directory)}/*.log    End: Ctrl-C

ready ${url}`
}
