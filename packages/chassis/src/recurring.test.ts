import { expect, test } from 'vitest'
import { pino } from 'pino'
import { Recurring } from './recurring.ts'
import { RepeatedFailure } from './repeated-failure.ts'

function recordedLog() {
  const lines: { msg: string; err: { message: string } }[] = []
  const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(JSON.parse(line) as (typeof lines)[number]) })
  return { log, lines }
}

function withResolvers() {
  let settle: (() => void) | undefined
  const promise = new Promise<void>((resolve) => (settle = resolve))
  return { promise, resolve: () => settle?.() }
}

/** Opens a job whose n-th run rejects with the n-th of `outcomes`. `finished` resolves at the last of them. */
function openJob(outcomes: readonly (Error | undefined)[]) {
  const { log, lines } = recordedLog()
  let count = 0
  let running = 0
  let overlapped = false
  const finished = withResolvers()
  const job = new Recurring({
    intervalMs: 1,
    log,
    failure: 'the job failed',
    async run() {
      overlapped ||= ++running > 1
      await new Promise(setImmediate)
      running--
      const outcome = outcomes[count++]
      if (count === outcomes.length) finished.resolve()
      if (outcome) throw outcome
    },
  })
  return { job, lines, finished: finished.promise, overlapped: () => overlapped, count: () => count }
}

test('runs again after a run that rejects, and logs a repeated failure once', async () => {
  const { job, lines, finished } = openJob([new Error('away'), new Error('away'), undefined, new Error('away'), undefined])
  await finished
  await job.close()
  expect(lines.map(({ msg, err }) => [msg, err.message])).toEqual([
    ['the job failed', 'away'],
    ['the job failed', 'away'],
  ])
})

test('does not overlap runs, and starts none after close', async () => {
  const { job, finished, overlapped, count } = openJob(Array.from({ length: 20 }, () => undefined))
  await finished
  await job.close()
  const closedAt = count()
  for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate)
  expect(overlapped()).toBe(false)
  expect(count()).toBe(closedAt)
})

test('close aborts the signal of the current run and resolves after its end', async () => {
  const { log } = recordedLog()
  const started = withResolvers()
  let ended = false
  const job = new Recurring({
    intervalMs: 1,
    log,
    failure: 'the job failed',
    async run(closing) {
      started.resolve()
      await new Promise((resolve) => closing.addEventListener('abort', resolve))
      await new Promise(setImmediate)
      ended = true
    },
  })
  await started.promise
  await job.close()
  expect(ended).toBe(true)
})

test('a repeated failure is logged again with another message, and after a success', () => {
  const { log, lines } = recordedLog()
  const failure = new RepeatedFailure(log, 'redis failed')
  for (const message of ['refused', 'refused', 'timed out']) failure.failed(new Error(message))
  expect(failure.failing).toBe(true)
  failure.succeeded()
  expect(failure.failing).toBe(false)
  failure.failed(new Error('timed out'))
  expect(lines.map(({ err }) => err.message)).toEqual(['refused', 'timed out', 'timed out'])
})
