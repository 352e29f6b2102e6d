import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { memberToken, type RawSession, spawnOwned, waitFor } from '@tidings/local'
import { expect, test } from 'vitest'
import { connected, metric, numbers, openBed, subscribed } from './gateway.test.fixture.ts'

const others = 500
const rounds = 60
const padding = 'x'.repeat(40_000)

/** Kilobytes of a process's memory. */
function residentKb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}

test('one frozen reader among 500: the others are served as before, it is closed with 4508, memory stays bounded', {
  timeout: 120_000,
}, async () => {
  const bed = await openBed()
  const gateway = await bed.gateway({ MAX_BUFFERED_MS: '3000', MAX_BUFFERED_BYTES: '1048576', HEART_BEAT_MS: '60000' })
  const frozen = spawnOwned({
    name: 'frozen reader',
    command: process.execPath,
    args: [
      join(import.meta.dirname, '../dist/frozen-reader.test.fixture.js'),
      `${gateway.url.replace('http', 'ws')}/ws`,
      memberToken(9_999),
      '/topic/all',
    ],
    cwd: join(import.meta.dirname, '..'),
    env: { PATH: process.env['PATH'] },
  })
  try {
    await frozen.firstLine((line) => (line === 'subscribed' ? true : undefined), 10_000)
    const sessions: RawSession[] = []
    for (let from = 1; from <= others; from += 50) {
      sessions.push(
        ...(await Promise.all(numbers(from, from + 49).map((memberId) => connected(gateway, { memberId: Number(memberId) })))),
      )
    }
    await Promise.all(sessions.map((session) => subscribed(session, '0', '/topic/all')))

    /** Publishes once and answers how long the slowest of the 500 waited. Large bodies go to the frozen one's own eyes as well. */
    const round = async (body: string) => {
      const beganAt = performance.now()
      await bed.publisher.publish('broadcast:all', body)
      await Promise.all(sessions.map((session) => session.nextFrame(20_000)))
      for (const session of sessions) session.received.length = 0
      return performance.now() - beganAt
    }
    const measure = async (count: number, body: string) => {
      const latencies: number[] = []
      while (latencies.length < count) latencies.push(await round(body))
      return latencies
    }
    await measure(10, padding) // warm
    const before = await measure(rounds, padding)
    const memoryBefore = residentKb(gateway.pid)
    frozen.pause()
    const after: number[] = []
    let mostMemory = 0
    const closed = () => gateway.logs.find((line) => line.includes('session closed') && line.includes('"memberId":9999,'))
    while (!closed() || after.length < rounds) {
      after.push(await round(padding))
      mostMemory = Math.max(mostMemory, residentKb(gateway.pid))
      if (after.length > 1_000) break
    }
    expect(JSON.parse(closed() ?? '{}')).toMatchObject({ code: 4508 })
    expect(median(after)).toBeLessThan(Math.max(median(before) * 1.5, median(before) + 15))
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
  const frozen = spawnOwned({
    name: 'frozen reader',
    command: process.execPath,
    args: [
      join(import.meta.dirname, '../dist/frozen-reader.test.fixture.js'),
      `${gateway.url.replace('http', 'ws')}/ws`,
      memberToken(1),
      '/topic/all',
    ],
    cwd: join(import.meta.dirname, '..'),
    env: { PATH: process.env['PATH'] },
  })
  try {
    await frozen.firstLine((line) => (line === 'subscribed' ? true : undefined), 10_000)
    frozen.pause()
    await waitFor(async () => (await metric(gateway, 'closes_total{code="4408"}')) === 1, { what: 'its end', deadlineMs: 8_000 })
  } finally {
    await frozen.kill()
    await bed.close()
  }
})
