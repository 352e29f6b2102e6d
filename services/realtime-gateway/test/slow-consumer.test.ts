import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { memberToken, type OwnedProcess, type RawSession, type ServiceProcess, spawnOwned, waitFor } from '@tidings/local'
import { expect, test } from 'vitest'
import { numberStrings, openSession, readMetric, startGatewayStack, subscribe } from './fixture/gateway.ts'

const otherSessions = 500
const rounds = 40
const warmUpRounds = 20
/** Bound on the growth of the gateway's resident memory. */
const maxGrowthKb = 64 * 1_024
const largeBody = 'x'.repeat(60_000)

/** Starts a process with one subscribed session, which `pause()` freezes. */
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

/** Returns the resident memory of a process in KB. Linux only. */
function residentKb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
}

test('closes a frozen reader with 4508, serves 500 other sessions at the same CPU cost, and keeps memory bounded', {
  timeout: 240_000,
}, async () => {
  const stack = await startGatewayStack()
  const gateway = await stack.startGateway({ HEART_BEAT_MS: '60000' })
  const frozen = await startReader(gateway, 9_999, '/topic/all', '/topic/heavy')
  try {
    const sessions: RawSession[] = []
    for (let from = 1; from <= otherSessions; from += 50) {
      const opening = numberStrings(from, from + 49).map((memberId) => openSession(gateway, { memberId: Number(memberId) }))
      sessions.push(...(await Promise.all(opening)))
    }
    await Promise.all(sessions.map((session) => subscribe(session, '0', '/topic/all')))

    /** Publishes to all sessions, and a large body to the frozen one alone. Resolves when all 500 have their message. */
    const runRound = async () => {
      await Promise.all([
        stack.publisher.publish('broadcast:heavy', largeBody, 1),
        stack.publisher.publish('broadcast:all', '{}', 1),
      ])
      await Promise.all(sessions.map((session) => session.nextFrame(20_000)))
    }
    // CPU time rather than elapsed time, which depends on what else the machine does.
    const cpuSeconds = () => readMetric(gateway, 'process_cpu_seconds_total')
    for (let count = 0; count < warmUpRounds; count++) await runRound()
    const cpuAtStart = await cpuSeconds()
    for (let count = 0; count < rounds; count++) await runRound()
    const cpuAtFreeze = await cpuSeconds()
    const memoryBeforeKb = residentKb(gateway.pid)
    frozen.pause()
    const loggedClose = () => gateway.logs.find((line) => line.includes('session closed') && line.includes('"memberId":9999,'))
    let frozenRounds = 0
    let peakMemoryKb = 0
    while ((!loggedClose() || frozenRounds < rounds) && frozenRounds < 1_000) {
      await runRound()
      frozenRounds++
      peakMemoryKb = Math.max(peakMemoryKb, residentKb(gateway.pid))
    }
    const cpuPerRoundBefore = (cpuAtFreeze - cpuAtStart) / rounds
    const cpuPerRoundAfter = ((await cpuSeconds()) - cpuAtFreeze) / frozenRounds
    const growthKb = peakMemoryKb - memoryBeforeKb
    expect(JSON.parse(loggedClose() ?? '{}')).toMatchObject({ code: 4508 })
    expect(cpuPerRoundAfter).toBeLessThan(cpuPerRoundBefore * 2)
    if (process.env['TIDINGS_LONG'] === '1') {
      console.log({ cpuSecondsPerRound: { before: cpuPerRoundBefore, after: cpuPerRoundAfter }, frozenRounds, growthKb })
    }
    expect(growthKb).toBeLessThan(maxGrowthKb)
    expect(await readMetric(gateway, 'sessions')).toBe(otherSessions)
    expect(await readMetric(gateway, 'closes_total{code="4508"}')).toBe(1)
  } finally {
    await frozen.kill()
    await stack.close()
  }
})

test('closes a frozen reader with 4408 after three silent heart-beat periods when it has little to read', {
  timeout: 60_000,
}, async () => {
  const stack = await startGatewayStack()
  const gateway = await stack.startGateway({ HEART_BEAT_MS: '1000' })
  const frozen = await startReader(gateway, 1, '/topic/all')
  try {
    frozen.pause()
    await waitFor(async () => (await readMetric(gateway, 'closes_total{code="4408"}')) === 1, {
      what: 'the frozen session to be closed',
      deadlineMs: 20_000,
    })
  } finally {
    await frozen.kill()
    await stack.close()
  }
})
