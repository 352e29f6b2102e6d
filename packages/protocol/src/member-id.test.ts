import { expect, test } from 'vitest'
import { z } from 'zod'
import { historyLimitOf, historyLimits, memberChannel } from './channel.ts'
import { MemberId } from './member-id.ts'
import { parseMemberId } from './parse-member-id.ts'

const uuid = '7f3c2a1e-5b7d-4e2f-9a3c-6d1b8e4f7a20'

test.each([
  // Integers, and the one text of each.
  [1, 1],
  [7.0, 7],
  [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  ['1', 1],
  ['9007199254740991', Number.MAX_SAFE_INTEGER],
  // Texts that look like numbers and are not the text of an integer.
  ['0', '0'],
  ['007', '007'],
  ['-1', '-1'],
  ['+5', '+5'],
  ['1e3', '1e3'],
  ['7.0', '7.0'],
  ['0x7', '0x7'],
  ['9007199254740992', '9007199254740992'],
  ['1234567890123456789', '1234567890123456789'],
  ['9'.repeat(64), '9'.repeat(64)],
  [uuid, uuid],
  ['auth0|a1', 'auth0|a1'],
  ['user+tag@mail.example', 'user+tag@mail.example'],
  ['dGVzdA==', 'dGVzdA=='],
  ['~A_b-C.d', '~A_b-C.d'],
])('%j is the member id %j', (value, id) => {
  expect(parseMemberId(value)).toBe(id)
  expect(MemberId.parse(value)).toBe(id)
  // One id has one form, and a channel per member.
  expect(parseMemberId(`${id}`)).toBe(id)
  const channel = memberChannel(id, 'task.x')
  expect(channel.split(':')).toEqual(['member', `${id}`, 'task.x'])
  expect(historyLimitOf(channel)).toBe(historyLimits.taskEvents)
})

test.each([
  0,
  -1,
  1.5,
  2 ** 53,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  '',
  ' 7',
  '7\n',
  'a b',
  'a:b',
  'a/b',
  'a{b}',
  'a*',
  '７',
  'é',
  'a\0',
  'a'.repeat(65),
  null,
  undefined,
  true,
  [7],
  {},
])('%j is not a member id', (value) => {
  expect(parseMemberId(value)).toBeUndefined()
  const { error } = MemberId.safeParse(value)
  expect(error?.issues.map(({ path, message }) => [path, message])).toEqual([
    [[], expect.stringMatching(value === undefined ? /^is required$/ : /^must be a positive integer/)],
  ])
})

test('the JSON schema names both forms', () => {
  for (const io of ['input', 'output'] as const) {
    expect(z.toJSONSchema(MemberId, { io })).toMatchObject({
      anyOf: [
        { type: 'integer', maximum: Number.MAX_SAFE_INTEGER },
        { type: 'string', pattern: '^[A-Za-z0-9_.|@+=~-]{1,64}$' },
      ],
    })
  }
})
