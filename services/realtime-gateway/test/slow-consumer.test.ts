import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { memberToken, type OwnedProcess, type RawSession, type ServiceProcess, spawnOwned, waitFor } from '@tidings/local'
import { expect, test } from 'vitest'
import { connected, metric, numbers, openBed, subscribed } from './fixture/gateway.ts'

const others = 500
const rounds = 40
const heavy = 'x'.repeat(60_000)

async function startReader(gateway: ServiceProcess, memberId: number, ...destinations: string[]): Promise<OwnedProcess> {
  const reader = spawnOwned({
    name: 'reader',
    command: process.execPath,
    args: [
      join(import.meta.dirname, 'fixture/frozen-reader.mjs'),
      `${gateway.url.replace('http', 'ws')}/ws`,
      memberToken(memberId),
      ...destinations,
    ],
    cwd: join(import.meta.dirname, '..'),
    env: { PATH: process.env['PATH'] },
  })
  await reader.firstLine((line) => (line === 'subscribed' ? true : undefined), 30_000)
  return reader
}

/** Kilobytes of a process's memory. */
function residentKb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
}

test('one frozen reader among 500: the others are served as before, it is closed with 4508, memory stays bounded', {
  timeout: 240_000,
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

    /** Publishes to all, and much to the one alone; over when the slowest of the 500 has it. */
    const round = async () => {
      await Promise.all([bed.publisher.publish('broadcast:heavy', heavy, 1), bed.publisher.publish('broadcast:all', '{}', 1)])
      await Promise.all(sessions.map((session) => session.nextFrame(20_000)))
    }
    // What a round costs the gateway: how long it takes is up to whatever else the machine does.
    const spent = () => metric(gateway, 'process_cpu_seconds_total')
    for (let warm = 0; warm < 20; warm++) await round()
    const beganAt = await spent()
    for (let count = 0; count < rounds; count++) await round()
    const frozenAt = await spent()
    const memoryBefore = residentKb(gateway.pid)
    frozen.pause()
    const closed = () => gateway.logs.find((line) => line.includes('session closed') && line.includes('"memberId":9999,'))
    let after = 0
    let mostMemory = 0
    while ((!closed() || after < rounds) && after < 1_000) {
      await round()
      after++
      mostMemory = Math.max(mostMemory, residentKb(gateway.pid))
    }
    const [costBefore, costAfter] = [(frozenAt - beganAt) / rounds, ((await spent()) - frozenAt) / after]
    expect(JSON.parse(closed() ?? '{}')).toMatchObject({ code: 4508 })
    expect(costAfter).toBeLessThan(costBefore * 2)
    if (process.env['TIDINGS_LONG'] === '1') {
      console.log({ costBefore, costAfter, rounds: after, grownKb: mostMemory - memoryBefore })
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
    await waitFor(async () => (await metric(gateway, 'closes_total{code="4408"}')) === 1, { what: 'its end', deadlineMs: 20_000 })
  } finally {
    await frozen.kill()
    await bed.close()
  }
})
