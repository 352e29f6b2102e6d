import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { memberToken, type OwnedProcess, type RawSession, type ServiceProcess, spawnOwned, waitFor } from '@tidings/local'
import { expect, test } from 'vitest'
import { connected, metric, numbers, openBed, subscribed } from './gateway.test.fixture.ts'

const others = 500
const rounds = 40
const heavy = 'x'.repeat(60_000)

async function startReader(gateway: ServiceProcess, memberId: number, ...destinations: string[]): Promise<OwnedProcess> {
  const reader = spawnOwned({
    name: 'reader',
    command: process.execPath,
    args: [
      join(import.meta.dirname, '../dist/frozen-reader.test.fixture.js'),
      `${gateway.url.replace('http', 'ws')}/ws`,
      memberToken(memberId),
      ...destinations,
    ],
    cwd: join(import.meta.dirname, '..'),
    env: { PATH: process.env['PATH'] },
  })
  await reader.firstLine((line) => (line === 'subscribed' ? true : undefined), 15_000)
  return reader
}

/** Kilobytes of a process's memory. */
function residentKb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
}

/** What a tenth of the rounds is quicker than: the rest is the noise of the machine. */
function quick(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 10)] ?? 0
}

test('one frozen reader among 500: the others are served as before, it is closed with 4508, memory stays bounded', {
  timeout: 120_000,
}, async () => {
  const bed = await openBed()
  const gateway = await bed.gateway({ HEART_BEAT_MS: '60000' })
  const frozen = await startReader(gateway, 9_999, '/topic/all', '/topic/heavy')
  try {
    const sessions: RawSession[] = []
    for (let from = 1; from <= others; from += 50) {
      const some = numbers(from, from + 49).map((memberId) => connected(gateway, { memberId: Number(memberId) }))
      sessions.push(...(await Promise.all(some)))
    }
    await Promise.all(sessions.map((session) => subscribed(session, '0', '/topic/all')))

    /** Publishes to all, and much to the one alone; answers how long the slowest of the 500 waited. */
    const round = async () => {
      const beganAt = performance.now()
      await Promise.all([bed.publisher.publish('broadcast:heavy', heavy, 1), bed.publisher.publish('broadcast:all', '{}', 1)])
      await Promise.all(sessions.map((session) => session.nextFrame(20_000)))
      return performance.now() - beganAt
    }
    const measure = async (count: number) => {
      const latencies: number[] = []
      while (latencies.length < count) latencies.push(await round())
      return latencies
    }
    await measure(20) // warm
    const before = await measure(rounds)
    const memoryBefore = residentKb(gateway.pid)
    frozen.pause()
    const closed = () => gateway.logs.find((line) => line.includes('session closed') && line.includes('"memberId":9999,'))
    const after: number[] = []
    let mostMemory = 0
    while ((!closed() || after.length < rounds) && after.length < 1_000) {
      after.push(await round())
      mostMemory = Math.max(mostMemory, residentKb(gateway.pid))
    }
    expect(JSON.parse(closed() ?? '{}')).toMatchObject({ code: 4508 })
    expect(quick(after)).toBeLessThan(quick(before) * 1.5 + 20)
    if (process.env['TIDINGS_LONG'] === '1') {
      console.log({ before: quick(before), after: quick(after), rounds: after.length, grownKb: mostMemory - memoryBefore })
    }
    expect(mostMemory - memoryBefore).toBeLessThan(64 * 1_024)
    expect(await metric(gateway, 'sessions')).toBe(others)
    expect(await metric(gateway, 'closes_total{code="4508"}')).toBe(1)
  } finally {
    await frozen.kill()
    await bed.close()
  }
})

test('a frozen reader with little to read is ended by the timer, in time', { timeout: 60_000 }, async () => {
  const bed = await openBed()
  const gateway = await bed.gateway({ HEART_BEAT_MS: '1000' })
  const frozen = await startReader(gateway, 1, '/topic/all')
  try {
    frozen.pause()
    await waitFor(async () => (await metric(gateway, 'closes_total{code="4408"}')) === 1, { what: 'its end', deadlineMs: 8_000 })
  } finally {
    await frozen.kill()
    await bed.close()
  }
})
