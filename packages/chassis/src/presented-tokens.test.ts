import { expect, test } from 'vitest'
import { memberChallenge, presentedTokens } from './presented-tokens.ts'
import { authenticateMember } from './principal.ts'
import { good, now, settings, signText } from './token.test.fixture.ts'
import { openTokenVerifier } from './token.ts'

const valid = signText(good)
const other = signText({ ...good, sub: '8' })
const expired = signText({ ...good, exp: now - 60 })

test.each<readonly [name: string, headers: { authorization?: string; cookie?: string }, outcome: number | string]>([
  ['no header', {}, 'no token'],
  ['one cookie', { cookie: `t=${valid}` }, 7],
  ['a cookie among others', { cookie: `a=1;t=${valid}; b={"a":1,2}; =; c; %E0%A4%A=%E0%A4%A; __proto__=x` }, 7],
  ['a cookie of another name', { cookie: `tt=${valid}; xt=${valid}; T=${valid}` }, 'no token'],
  ['a cookie whose value contains the name', { cookie: `x=t=${valid}` }, 'no token'],
  ['an empty cookie', { cookie: 't=' }, 'no token'],
  ['an expired cookie', { cookie: `t=${expired}` }, 'expired'],
  ['an expired cookie before a valid one', { cookie: `t=${expired}; t=${valid}` }, 7],
  ['a valid cookie before an expired one', { cookie: `t=${valid}; t=${expired}` }, 7],
  ['an empty cookie before a valid one', { cookie: `t=; t=${valid}` }, 7],
  ['garbage before a valid cookie', { cookie: `t=a.b.c; t=%; t=${valid}` }, 7],
  ['two valid cookies: the first', { cookie: `t=${valid}; t=${other}` }, 7],
  ['two invalid cookies: the reason of the first', { cookie: `t=${expired}; t=garbage` }, 'expired'],
  ['the eighth cookie of the name', { cookie: `${'t=x; '.repeat(7)}t=${valid}` }, 7],
  ['the ninth cookie of the name', { cookie: `${'t=x; '.repeat(8)}t=${valid}` }, 'malformed'],
  ['a quoted cookie', { cookie: `t="${valid}"` }, 7],
  ['a cookie with one quote', { cookie: `t="${valid}` }, 'malformed'],
  ['a cookie with spaces around it', { cookie: ` t = ${valid} ; a=1` }, 7],
  ['an encoded cookie', { cookie: `t=${valid.replaceAll('.', '%2E')}` }, 7],
  ['Bearer', { authorization: `Bearer ${valid}` }, 7],
  ['Bearer in lower case', { authorization: `bearer  ${valid}` }, 7],
  ['Bearer before a cookie of another member', { authorization: `Bearer ${valid}`, cookie: `t=${other}` }, 7],
  ['an invalid Bearer with a valid cookie', { authorization: `Bearer ${expired}`, cookie: `t=${valid}` }, 'expired'],
  ['Basic with a valid cookie', { authorization: 'Basic dXNlcjpwdw==', cookie: `t=${valid}` }, 7],
  ['Bearer without a token, with a valid cookie', { authorization: 'Bearer ', cookie: `t=${valid}` }, 7],
  ['Bearer with two words', { authorization: `Bearer ${valid} x` }, 'no token'],
  ['Basic with a token', { authorization: `Basic ${valid}` }, 'no token'],
])('%s', async (_, headers, outcome) => {
  const verdict = await authenticateMember(openTokenVerifier(settings()), presentedTokens(headers, 't').tokens)
  if (typeof outcome === 'number') expect(verdict).toHaveProperty('principal.memberId', outcome)
  else expect(verdict).toHaveProperty('refused', expect.stringContaining(outcome))
})

const challengeFor = (headers: { authorization?: string; cookie?: string }) =>
  memberChallenge(presentedTokens(headers, 't'), 'the token has expired', 't')

test('the challenge names an error only for a token in Authorization', () => {
  const cookie = ', Cookie realm="tidings", cookie-name="t"'
  expect(challengeFor({})).toBe(`Bearer realm="tidings"${cookie}`)
  expect(challengeFor({ cookie: 't=x' })).toBe(`Bearer realm="tidings"${cookie}`)
  expect(challengeFor({ authorization: 'Bearer x' })).toBe(
    `Bearer realm="tidings", error="invalid_token", error_description="the token has expired"${cookie}`,
  )
})
