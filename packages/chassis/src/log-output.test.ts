import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { afterEach, expect, test } from 'vitest'

const chassis = pathToFileURL(join(import.meta.dirname, '../dist/index.js')).href
/** Logs until it is stopped. Writes to stderr when so much is unread that lines are dropped. */
const service = `
  import { openLog, run } from '${chassis}'
  await run(async () => {
    const log = openLog('test', 'info')
    let count = 0
    let reported = false
    const timer = setInterval(() => {
      for (let line = 0; line < 100; line++) log.info({ count: count++ }, 'x'.repeat(1_000))
      if (process.stdout.writableLength < 1_048_576 || reported) return
      reported = true
      console.error('full')
    }, 1)
    return { log, closeTimeoutMs: 10_000, close: async () => clearInterval(timer) }
  })`

const children: ChildProcess[] = []
afterEach(() => children.splice(0).forEach((child) => child.kill('SIGKILL')))

function start() {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', service], { stdio: ['ignore', 'pipe', 'pipe'] })
  children.push(child)
  return child
}

test('a process whose log is no longer read ends with code 0 on SIGTERM', { timeout: 20_000 }, async () => {
  const child = start()
  await once(child.stdout, 'data')
  child.stdout.destroy()
  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([0, null])
})

test('a process whose log stands still drops lines, and ends with code 0 on SIGTERM', { timeout: 20_000 }, async () => {
  const child = start()
  await once(child.stderr, 'data')
  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([0, null])
})

test('a reader that goes on receives whole lines, and the number of those that were dropped', {
  timeout: 20_000,
}, async () => {
  const child = start()
  await once(child.stderr, 'data')
  const lines: { count?: number; dropped?: number; msg: string }[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(JSON.parse(line))
    if (lines.at(-2)?.dropped !== undefined) child.kill('SIGTERM')
  }
  const at = lines.findIndex(({ dropped }) => dropped !== undefined)
  expect(lines[at]).toMatchObject({ level: 40, service: 'test', msg: 'log lines were dropped' })
  expect((lines[at + 1]?.count ?? 0) - (lines[at - 1]?.count ?? 0)).toBe((lines[at]?.dropped ?? 0) + 1)
})
