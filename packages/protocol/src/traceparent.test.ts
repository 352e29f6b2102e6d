import { expect, test } from 'vitest'
import { parseTraceparent, traceIdOf } from './traceparent.ts'

const ids = '0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331'

test.each([
  [`00-${ids}-01`, `00-${ids}-01`],
  [`00-${ids}-ff`, `00-${ids}-ff`],
  [`01-${ids}-01`, `00-${ids}-01`],
  [`cc-${ids}-01-more`, `00-${ids}-01`],
])('%s is %s', (header, expected) => {
  expect(parseTraceparent(header)).toBe(expected)
  expect(traceIdOf(expected)).toBe('0af7651916cd43dd8448eb211c80319c')
})

test.each([
  undefined,
  '',
  ids,
  `ff-${ids}-01`,
  `00-${ids}-01-more`,
  `00-${ids}-01 `,
  ` 00-${ids}-01`,
  `00-${ids}`,
  `00-${ids}-1`,
  `00-${ids.toUpperCase()}-01`,
  `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
  `00-0af7651916cd43dd8448eb211c80319c-${'0'.repeat(16)}-01`,
  `00-${ids}-01, 00-${ids}-01`,
])('%j is not valid', (header) => expect(parseTraceparent(header)).toBeUndefined())
