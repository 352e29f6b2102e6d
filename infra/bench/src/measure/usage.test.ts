import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { median, quantile, slope } from './statistics.ts'
import { cpuSeconds, descriptorCount, residentKib } from './usage.ts'

test('CPU time grows with the work of a process, and not while it waits', () => {
  const before = cpuSeconds([process.pid])
  const endsAt = process.cpuUsage().user + 100_000
  while (process.cpuUsage().user < endsAt) Math.sqrt(endsAt)
  const worked = cpuSeconds([process.pid]) - before
  expect(worked).toBeGreaterThan(0.08)
  spawnSync('sleep', ['0.3'])
  expect(cpuSeconds([process.pid]) - before - worked).toBeLessThan(0.2)
})

test('memory and descriptors are those of the process', () => {
  expect(residentKib(process.pid)).toBeGreaterThan(20_000)
  expect(descriptorCount(process.pid)).toBeGreaterThan(3)
})

test('medians, quantiles and slopes', () => {
  expect(median([3, 1, 2])).toBe(2)
  expect(median([])).toBeNaN()
  expect(quantile([1, 2, 3, 4], 0.99)).toBe(4)
  expect(slope([0, 1, 2, 3].map((x) => [x, 2 * x + 5]))).toBe(2)
})
