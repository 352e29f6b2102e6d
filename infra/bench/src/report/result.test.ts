import { expect, test } from 'vitest'
import { Recorder } from './result.ts'

test('a ratio is the median of the ratios within each round, so that a slow round concerns both sides', () => {
  const recorder = new Recorder([
    { id: 'cpu', label: 'CPU', unit: 'µs', lowerIsBetter: true },
    { id: 'lost', label: 'Lost', unit: '', lowerIsBetter: true, mayBeZero: true },
  ])
  for (const slowness of [1, 10, 1]) {
    recorder.record('floor', 'cpu', 2 * slowness)
    recorder.record('Tidings', 'cpu', 3 * slowness)
    recorder.record('floor', 'lost', 4)
    recorder.record('Tidings', 'lost', 0)
  }
  const figures = recorder.figures(['Tidings', 'floor'])
  expect(figures.map(({ system, metric }) => `${system} ${metric}`)).toEqual([
    'Tidings cpu',
    'Tidings lost',
    'floor cpu',
    'floor lost',
  ])
  expect(figures[0]).toMatchObject({ median: 3, lowest: 3, highest: 30, ratio: 1.5, values: [3, 30, 3] })
  expect(figures[1]).toMatchObject({ median: 0, ratio: undefined })
})
