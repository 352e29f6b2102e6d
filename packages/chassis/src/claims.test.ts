import { expect, test } from 'vitest'
import { type ClaimRules, scopesOf } from './claims.ts'
import { authenticateMember } from './principal.ts'
import { openTokenVerifier } from './token.ts'
import { good, now, settings, signText } from './token.test.fixture.ts'

const day = 86_400
const admitted = undefined
type Case = readonly [name: string, claims: unknown, refused: string | undefined, rules?: Partial<ClaimRules>]

const cases: readonly Case[] = [
  ['all claims', good, admitted],
  ['no iat', { ...good, iat: undefined }, admitted],
  ['claims that are null', 'null', 'malformed'],
  ['claims that are an array', '[]', 'malformed'],
  ['claims that are a number', '7', 'malformed'],
  ['claims that are a text', '"7"', 'malformed'],
  ['claims that are empty', '', 'malformed'],

  ['no exp', { ...good, exp: undefined }, 'lacks exp'],
  ['exp as text', { ...good, exp: String(good.exp) }, 'exp of the token is not an integer'],
  ['exp null', { ...good, exp: null }, 'exp of the token is not an integer'],
  ['exp in an array', { ...good, exp: [good.exp] }, 'exp of the token is not an integer'],
  ['exp true', { ...good, exp: true }, 'exp of the token is not an integer'],
  ['exp with a fraction', { ...good, exp: good.exp + 0.5 }, 'exp of the token is not an integer'],
  ['exp 1e300', `{"sub":"7","exp":1e300}`, 'exp of the token is not an integer'],
  ['exp 1e999', `{"sub":"7","exp":1e999}`, 'exp of the token is not an integer'],
  ['exp -1e300', `{"sub":"7","exp":-1e300}`, 'exp of the token is not an integer'],
  ['exp in milliseconds', { ...good, exp: good.exp * 1_000 }, 'more than 90 days'],
  ['exp a second ago, within the leeway', { ...good, exp: now - 1 }, admitted],
  ['exp 20 s ago', { ...good, exp: now - 20 }, 'has expired'],
  ['exp a second ago, without leeway', { ...good, exp: now - 1 }, 'has expired', { leewaySeconds: 0 }],

  ['a life of 90 days', { ...good, exp: now + 90 * day }, admitted],
  ['a life of 90 days and a second', { ...good, exp: now + 90 * day + 1 }, 'more than 90 days'],
  ['a life of 90 days, no iat', { ...good, iat: undefined, exp: now + 90 * day }, admitted],
  ['a life of 91 days, no iat', { ...good, iat: undefined, exp: now + 91 * day }, 'more than 90 days'],
  ['iat 0', { ...good, iat: 0 }, 'more than 90 days'],
  ['a life of 2 days of at most 1', { ...good, exp: now + 2 * day }, 'more than 1 days', { maxTokenDays: 1 }],

  ['iat as text', { ...good, iat: String(now) }, 'iat of the token is not an integer'],
  ['iat null', { ...good, iat: null }, 'iat of the token is not an integer'],
  ['iat with a fraction', { ...good, iat: now + 0.5 }, 'iat of the token is not an integer'],
  ['iat 1e999', `{"sub":"7","exp":${good.exp},"iat":1e999}`, 'iat of the token is not an integer'],
  ['iat in 3 s, within the leeway', { ...good, iat: now + 3 }, admitted],
  ['iat in 60 s', { ...good, iat: now + 60 }, 'issued in the future'],
  ['iat in 60 s, with a leeway of 120', { ...good, iat: now + 60 }, admitted, { leewaySeconds: 120 }],

  ['nbf in the past', { ...good, nbf: now - 1 }, admitted],
  ['nbf in 3 s, within the leeway', { ...good, nbf: now + 3 }, admitted],
  ['nbf in 60 s', { ...good, nbf: now + 60 }, 'not valid yet'],
  ['nbf 1e300', `{"sub":"7","exp":${good.exp},"nbf":1e300}`, 'not valid yet'],
  ['nbf 1e999', `{"sub":"7","exp":${good.exp},"nbf":1e999}`, 'not valid yet'],
  ['nbf as text', { ...good, nbf: '1' }, 'nbf of the token is not a number'],
  ['nbf null', { ...good, nbf: null }, 'nbf of the token is not a number'],

  ['no sub', { ...good, sub: undefined }, 'lacks sub'],
  ...[null, '', true, 1.5, {}, { toString: '7' }, [], ['7'], [7]].map(
    (sub) => [`sub ${JSON.stringify(sub)}`, { ...good, sub }, 'sub of the token is neither'] as const,
  ),
  ['the member in another claim', { ...good, sub: 'x', uid: 7 }, admitted, { subjectClaim: 'uid' }],
  [
    'the member in a claim named by a URL',
    { ...good, 'https://a.example/id': '7' },
    admitted,
    { subjectClaim: 'https://a.example/id' },
  ],
  ['no such claim, although there is sub', good, 'lacks uid', { subjectClaim: 'uid' }],
  ['no sub, which is not used', { ...good, sub: undefined, uid: '7' }, admitted, { subjectClaim: 'uid' }],
  ['another claim as array', { ...good, uid: ['7'] }, 'uid of the token is neither', { subjectClaim: 'uid' }],
  ['another claim as object', { ...good, uid: { id: 7 } }, 'uid of the token is neither', { subjectClaim: 'uid' }],
  ['a claim that every object has', good, 'toString of the token is neither', { subjectClaim: 'toString' }],
  ['a claim named refused', { ...good, refused: 'no' }, admitted],

  ['any iss where none is required', { ...good, iss: 7 }, admitted],
  ['the required iss', { ...good, iss: 'https://a.example' }, admitted, { issuer: 'https://a.example' }],
  ['another iss', { ...good, iss: 'https://b.example' }, 'another issuer', { issuer: 'https://a.example' }],
  [
    'iss that begins with the required one',
    { ...good, iss: 'https://a.example/' },
    'another issuer',
    { issuer: 'https://a.example' },
  ],
  ['iss in an array', { ...good, iss: ['https://a.example'] }, 'another issuer', { issuer: 'https://a.example' }],
  ['no iss', good, 'another issuer', { issuer: 'https://a.example' }],

  ['the required aud', { ...good, aud: 'tidings' }, admitted, { audience: 'tidings' }],
  ['the required aud among others', { ...good, aud: ['other', 'tidings'] }, admitted, { audience: 'tidings' }],
  ['another aud', { ...good, aud: 'other' }, 'another audience', { audience: 'tidings' }],
  ['aud that contains the required one', { ...good, aud: 'tidings other' }, 'another audience', { audience: 'tidings' }],
  ['aud as an object', { ...good, aud: { includes: 'tidings' } }, 'another audience', { audience: 'tidings' }],
  ['an empty aud', { ...good, aud: [] }, 'another audience', { audience: 'tidings' }],
  ['no aud', good, 'another audience', { audience: 'tidings' }],
]

test.each(cases.map((each) => ({ name: each[0], each })))('$name', async ({ each: [, claims, refused, rules] }) => {
  const verdict = await openTokenVerifier(settings(undefined, rules)).verify(signText(claims))
  if (refused === undefined) expect(verdict).toMatchObject({ claims: { exp: expect.any(Number) } })
  else expect(verdict).toHaveProperty('refused', expect.stringContaining(refused))
})

test.each<readonly [claim: unknown, scopes: readonly string[] | undefined]>([
  [undefined, []],
  ['a b', ['a', 'b']],
  [
    ['a', 'b'],
    ['a', 'b'],
  ],
  [[], []],
  [['a', 7], undefined],
  [{ a: true }, undefined],
  [7, undefined],
  [null, undefined],
  [true, undefined],
])('the scopes in %j are %j', (claim, scopes) => {
  expect(scopesOf(claim)).toEqual(scopes)
})

test('refuses a token whose subject is not a member id', async () => {
  const tokens = openTokenVerifier(settings())
  for (const sub of [' 7', 'a b', 'a:b', 'é', 'a'.repeat(65)])
    expect(await authenticateMember(tokens, [signText({ ...good, sub })]), sub).toHaveProperty('refused')
  for (const [sub, memberId] of [
    ['7', 7],
    [7, 7],
    ['007', '007'],
    ['auth0|a1', 'auth0|a1'],
  ]) {
    const token = signText({ ...good, sub })
    expect(await authenticateMember(tokens, [token])).toMatchObject({ principal: { memberId, expiresAt: good.exp }, token })
  }
})
