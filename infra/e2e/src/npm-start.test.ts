import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { connectStomp, isAlive, isFree, subscribe, waitFor } from '@tidings/local'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type RunningProduct, runNpmStart, startOnFreePort } from './fixture/npm-start.ts'

const deadlineMs = 20_000

async function expectNothingLeft({ pids, port }: RunningProduct): Promise<void> {
  await waitFor(() => !pids.some(isAlive), { what: 'every process to have ended', deadlineMs })
  await waitFor(() => isFree(port), { what: 'the port to be free', deadlineMs })
}

/** Sends the request of a curl command line with fetch. A shell parses the line, as it would when a person pastes it. */
function fetchAsCurl(line: string): Promise<Response> {
  const script = `curl() { node -e 'console.log(JSON.stringify(process.argv.slice(1)))' -- "$@"; }\n${line}`
  const words = JSON.parse(execFileSync('/bin/sh', ['-c', script], { encoding: 'utf8' })) as string[]
  const valuesOf = (option: string) => words.flatMap((word, at) => (words[at - 1] === option ? [word] : []))
  const headers = valuesOf('-H').map((header) => header.split(': ') as [string, string])
  const url = words.find((word) => word.startsWith('http')) ?? ''
  return fetch(url, { method: 'POST', headers, body: valuesOf('-d')[0] ?? '' })
}

test('npm start -- --check delivers one notification, prints it, and exits', { timeout: 120_000 }, async () => {
  const check = runNpmStart(['--check'])
  expect(await check.exited).toEqual({ code: 0, signal: null })
  const output = check.logs.join('\n')
  expect(output).toMatch(/^MESSAGE$/m)
  expect(output).toMatch(/^destination:\/member\/queue\/notification$/m)
  expect(output).toContain('"message":"새로운 알림이 도착했습니다.","redirectPath":"/dashboard"}')
  expect(output).toMatch(/^\d+\.\d ms from POST to MESSAGE$/m)
})

describe('npm start', { timeout: 120_000 }, () => {
  test('serves page, API and /ws from one origin until Ctrl-C', async () => {
    const started = await startOnFreePort()
    const { url, process } = started
    // Two sessions: the edge opens one on each gateway.
    const sessions = [
      await connectStomp(url, { memberId: 7, origin: url }),
      await connectStomp(url, { memberId: 7, origin: url }),
    ]
    for (const { session } of sessions) await subscribe(session, '0', '/member/queue/notification')

    const response = await fetchAsCurl(process.logs.find((line) => line.startsWith('curl ')) ?? '')
    expect([response.status, await response.json()]).toEqual([201, { notificationId: 1, memberId: 7, online: true }])
    for (const { session } of sessions) {
      const { command, body } = await session.nextFrame(deadlineMs)
      expect([command, JSON.parse(body)]).toMatchObject(['MESSAGE', { memberId: 7, notificationId: 1 }])
    }

    expect(await process.kill('SIGINT')).toEqual({ code: 0, signal: null })
    for (const { session } of sessions) expect(await session.closed()).toMatchObject({ code: 1012 })
    await expectNothingLeft(started)
  })

  test.each(['mariadbd', 'notify-api/dist', 'infra/edge/dist'])(
    'exits with 1 and the last log lines of %s when that process dies',
    async (part) => {
      const started = await startOnFreePort()
      process.kill(started.pidOf(part), 'SIGKILL')
      expect(await started.process.exited).toEqual({ code: 1, signal: null })
      expect(started.process.logs.join('\n')).toMatch(/ended with SIGKILL. Its last lines:\n.*(ready for connections|listening)/s)
      await expectNothingLeft(started)
    },
  )

  test('leaves no process behind when it is killed itself', async () => {
    const started = await startOnFreePort()
    await started.process.kill('SIGKILL')
    await expectNothingLeft(started)
  })

  test.each(['SIGTERM', 'SIGKILL'] as const)('ends everything when npm, and npm alone, gets %s', async (signal) => {
    const started = await startOnFreePort('npm')
    process.kill(started.process.pid, signal)
    await expectNothingLeft(started)
    expect(started.process.logs).toContain('stopping')
  })

  test('prints how to choose another port when its port is taken', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const { port } = server.address() as { port: number }
    const refused = runNpmStart([], { PORT: String(port) })
    expect(await refused.exited).toEqual({ code: 1, signal: null })
    expect(refused.logs.at(-1)).toMatch(new RegExp(`^Port ${port} is taken .* PORT=8090 npm start$`))
  })
})
