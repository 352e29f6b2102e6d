import { existsSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { type OwnedProcess, spawnOwned } from './owned-process.ts'
import { isAlive } from './process-tree.ts'
import { waitFor } from './wait-for.ts'

function shell(script: string): OwnedProcess {
  return spawnOwned({ name: 'shell', command: '/bin/sh', args: ['-c', script] })
}

const deadlineMs = 20_000
const isLine = (word: string) => (line: string) => (line === word ? true : undefined)

test('firstLine finds a line written before or after the call', async () => {
  const child = shell('echo one; echo two >&2; read forever')
  await child.firstLine(isLine('one'), deadlineMs)
  await child.firstLine(isLine('two'), deadlineMs)
  await child.firstLine(isLine('one'), deadlineMs)
  expect([...child.logs].toSorted()).toEqual(['one', 'two'])
  await child.kill()
})

test('firstLine rejects with the last lines when the process ends', async () => {
  await expect(shell('echo no luck; exit 3').firstLine(isLine('ready'), deadlineMs)).rejects.toThrow(
    'shell ended with exit code 3\nno luck',
  )
})

test('firstLine rejects when the deadline passes', async () => {
  const child = shell('sleep 60')
  await expect(child.firstLine(isLine('ready'), 50)).rejects.toThrow('shell was not ready within 50 ms')
  await child.kill()
})

test('a program that cannot be started counts as ended', async () => {
  const child = spawnOwned({ name: 'none', command: '/nowhere/program', args: [] })
  await expect(child.firstLine(isLine('ready'), deadlineMs)).rejects.toThrow(/none ended.*\n.*ENOENT/)
  expect(await child.stop()).toEqual({ code: null, signal: null })
})

test('stop sends SIGTERM, also to a paused process, and is idempotent', async () => {
  const child = shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done")
  await child.firstLine(isLine('ready'), deadlineMs)
  child.pause()
  expect(await child.stop()).toEqual({ code: 7, signal: null })
  expect(await child.stop()).toEqual({ code: 7, signal: null })
})

test('stop sends SIGKILL when the deadline has passed', async () => {
  const child = shell("trap '' TERM; echo ready; while :; do sleep 0.01; done")
  await child.firstLine(isLine('ready'), deadlineMs)
  expect(await child.stop(50)).toEqual({ code: null, signal: 'SIGKILL' })
})

test.each(['SIGKILL', 'SIGTERM', 'SIGINT'] as const)(
  'a child does not outlive a parent ended by %s, nor does its temporary directory',
  async (signal) => {
    const directory = mkdtempSync(join(tmpdir(), 'tidings-test-'))
    const module = pathToFileURL(join(import.meta.dirname, '../dist/owned-process.js')).href
    const script = `
    import { spawnOwned } from '${module}'
    const child = spawnOwned({ name: 'grandchild', command: 'sleep', args: ['600'], temporaryDirectory: '${directory}' })
    console.log('child ' + child.pid)`
    const parent = spawnOwned({ name: 'parent', command: process.execPath, args: ['--input-type=module', '--eval', script] })
    const pid = await parent.firstLine((line) => Number(/^child (\d+)$/.exec(line)?.[1]) || undefined, deadlineMs)
    expect(isAlive(pid)).toBe(true)
    await parent.kill(signal)
    await waitFor(() => !isAlive(pid), { what: 'the grandchild to be gone' })
    await waitFor(() => !existsSync(directory), { what: 'its directory to be gone' })
  },
)
