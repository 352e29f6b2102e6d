import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createSigner } from 'fast-jwt'
import { pino } from 'pino'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { readConfig } from './config.ts'
import { authenticateMember } from './principal.ts'
import { developmentSecrets, openTokenVerifier, tokenKey, tokenVariables } from './token.ts'
import { scopesOf } from './token-verifier.ts'

const secret = 'a secret of more than thirty-two bytes'
const now = Math.floor(Date.now() / 1000)
const sign = createSigner({ key: secret, algorithm: 'HS256' })
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
/** Signs any claims, also those that a library refuses to sign. A text is signed as it is. */
const signText = (claims: unknown) => {
  const payload = Buffer.from(typeof claims === 'string' ? claims : JSON.stringify(claims)).toString('base64url')
  const unsigned = `${encode({ alg: 'HS256', typ: 'JWT' })}.${payload}`
  return `${unsigned}.${createHmac('sha256', secret).update(unsigned).digest('base64url')}`
}
const pem = (key: KeyObject) => key.export({ type: key.type === 'public' ? 'spki' : 'pkcs8', format: 'pem' }) as string

test('returns the claims of a valid token', async () => {
  const { claims } = (await openTokenVerifier({ secret }).verify(sign({ sub: '7', exp: now + 3_600, scope: 'a b' }))) as never
  expect(claims).toMatchObject({ sub: '7', exp: now + 3_600, scope: 'a b' })
})

test('refuses any other token with the reason', async () => {
  const good = sign({ sub: '7', exp: now + 3_600 })
  const [head, payload, signature] = good.split('.') as [string, string, string]
  const hs512Head = encode({ alg: 'HS512', typ: 'JWT' })
  const hs512 = createHmac('sha512', secret).update(`${hs512Head}.${payload}`).digest('base64url')
  const cases: Record<string, [string | undefined, string]> = {
    missing: [undefined, 'no token'],
    garbage: ['garbage', 'malformed'],
    tampered: [`${head}.${encode({ sub: '8', exp: now + 3_600 })}.${signature}`, 'signature'],
    'other secret': [createSigner({ key: `${secret}!`, algorithm: 'HS256' })({ sub: '7', exp: now + 3_600 }), 'signature'],
    expired: [sign({ sub: '7', exp: now - 1 }), 'expired'],
    'without exp': [sign({ sub: '7' }), 'lacks sub or exp'],
    'without sub': [sign({ exp: now + 3_600 }), 'lacks sub or exp'],
    'alg none': [`${encode({ alg: 'none', typ: 'JWT' })}.${payload}.`, 'not signed'],
    'alg none with a signature': [`${encode({ alg: 'none', typ: 'JWT' })}.${payload}.${signature}`, 'algorithm'],
    'another algorithm': [`${hs512Head}.${payload}.${hs512}`, 'algorithm'],
  }
  for (const sub of [null, '', true, 1.5, {}, { toString: '7' }, [], ['7'], [7]])
    cases[`sub ${JSON.stringify(sub)}`] = [signText({ sub, exp: now + 3_600 }), 'sub of the token']
  for (const exp of [String(now + 3_600), null, [now + 3_600], {}, true])
    cases[`exp ${JSON.stringify(exp)}`] = [signText({ sub: '7', exp }), '']
  for (const exp of ['1e999', `${now + 3_600}.5`])
    cases[`exp ${exp}`] = [signText(`{"sub":"7","exp":${exp}}`), 'exp of the token']
  for (const body of ['null', '[]', '7', '"7"', '']) cases[`claims ${body}`] = [signText(body), '']
  const tokens = openTokenVerifier({ secret })
  for (const [name, [token, reason]] of Object.entries(cases)) {
    const verdict = await tokens.verify(token)
    expect(verdict, name).toHaveProperty('refused', expect.stringContaining(reason))
  }
})

test('the scopes of a token are a text or an array of texts', async () => {
  const cases: [unknown, readonly string[] | undefined][] = [
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
  ]
  const tokens = openTokenVerifier({ secret })
  for (const [scope, scopes] of cases) {
    const verdict = await tokens.verify(signText({ sub: '7', exp: now + 3_600, scope }))
    expect(verdict.refused === undefined && scopesOf(verdict.claims), JSON.stringify(scope)).toEqual(scopes)
  }
})

test('refuses an HMAC of the public key', async () => {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const head = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ sub: '7', exp: now + 3_600 })}`
  const forged = `${head}.${createHmac('sha256', pem(publicKey)).update(head).digest('base64url')}`
  expect(await openTokenVerifier({ publicKey: pem(publicKey) }).verify(forged)).toHaveProperty(
    'refused',
    expect.stringContaining('algorithm'),
  )
})

test('verifies with RSA, P-256 and Ed25519 public keys, also with line ends written as \\n', async () => {
  const pairs = {
    RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
    ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    EdDSA: generateKeyPairSync('ed25519'),
  } as const
  for (const [algorithm, { publicKey, privateKey }] of Object.entries(pairs)) {
    const token = createSigner({ key: pem(privateKey), algorithm: algorithm as 'RS256' })({ sub: '7', exp: now + 3_600 })
    const tokens = openTokenVerifier({ publicKey: pem(publicKey).replaceAll('\n', '\\n') })
    expect(await tokens.verify(token), algorithm).toHaveProperty('claims.sub', '7')
  }
})

test('fetches a rotated key from the JWKS URL, and keeps the known keys when the issuer is down', async () => {
  const pairs = [generateKeyPairSync('ed25519'), generateKeyPairSync('ec', { namedCurve: 'P-256' })] as const
  const jwk = (index: 0 | 1) => ({ ...pairs[index].publicKey.export({ format: 'jwk' }), kid: `key-${index}`, use: 'sig' })
  const tokenOf = (index: 0 | 1) =>
    createSigner({ key: pem(pairs[index].privateKey), algorithm: index === 0 ? 'EdDSA' : 'ES256', kid: `key-${index}` })({
      sub: '7',
      exp: now + 3_600,
    })
  let served: unknown = { keys: [jwk(0), { kty: 'unknown', kid: 'odd' }] }
  let requests = 0
  const issuer = createServer((_request, response) => {
    requests++
    response.end(JSON.stringify(served))
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void issuer.close())
  await new Promise((resolve) => issuer.once('listening', resolve))
  const jwksUrl = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/jwks`

  let clock = 0
  const tokens = openTokenVerifier({ jwksUrl }, { now: () => clock })
  expect(await tokens.verify(tokenOf(0))).toHaveProperty('claims.sub', '7')
  served = { keys: [jwk(0), jwk(1)] }
  expect(await tokens.verify(tokenOf(1))).toHaveProperty('refused', expect.stringContaining('unknown key'))
  expect(requests, 'one fetch within the cooldown').toBe(1)
  clock += 11_000
  expect(await tokens.verify(tokenOf(1))).toHaveProperty('claims.sub', '7')
  expect(requests).toBe(2)
  issuer.close()
  issuer.closeAllConnections()
  clock += 700_000
  expect(await tokens.verify(tokenOf(1)), 'the issuer is down').toHaveProperty('claims.sub', '7')
})

test('an issuer that hangs delays no token of a known key, and is logged once', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const tokenOf = (kid: string) => createSigner({ key: pem(privateKey), algorithm: 'EdDSA', kid })({ sub: '7', exp: now + 3_600 })
  let hanging = false
  let requests = 0
  const issuer = createServer((_request, response) => {
    requests++
    if (!hanging) response.end(JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'known' }] }))
  }).listen(0, '127.0.0.1')
  onTestFinished(() => {
    issuer.close()
    issuer.closeAllConnections()
  })
  await new Promise((resolve) => issuer.once('listening', resolve))
  const lines: string[] = []
  const log = pino({ level: 'warn' }, { write: (line) => void lines.push(line) })
  let clock = 0
  const jwksUrl = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/jwks`
  const tokens = openTokenVerifier({ jwksUrl }, { now: () => clock, log })
  expect(await tokens.verify(tokenOf('known'))).toHaveProperty('claims.sub', '7')

  hanging = true
  for (const expected of [2, 3]) {
    clock += 700_000
    const begin = performance.now()
    expect(await tokens.verify(tokenOf('known'))).toHaveProperty('claims.sub', '7')
    expect(await tokens.verify(tokenOf('known'))).toHaveProperty('claims.sub', '7')
    expect(performance.now() - begin, 'ms for two tokens of the known key').toBeLessThan(1_000)
    // A token of another key shares the request, and waits for its timeout.
    expect(await tokens.verify(tokenOf('other'))).toHaveProperty('refused', expect.stringContaining('unknown key'))
    expect(requests).toBe(expected)
  }
  expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual(['the JWKS could not be fetched'])

  hanging = false
  clock += 11_000
  expect(await tokens.verify(tokenOf('other')), 'the issuer responds again').toHaveProperty('refused')
  expect(requests).toBe(4)
}, 30_000)

test('refuses a token whose sub is not a member id', async () => {
  const tokens = openTokenVerifier({ secret })
  for (const sub of [' 7', 'a b', 'a:b', 'é', 'a'.repeat(65)])
    expect(await authenticateMember(tokens, sign({ sub, exp: now + 3_600 })), sub).toHaveProperty('refused')
  for (const [sub, memberId] of [
    ['7', 7],
    [7, 7],
    ['007', '007'],
    ['auth0|a1', 'auth0|a1'],
  ] as const)
    expect(await authenticateMember(tokens, sign({ sub: sub as string, exp: now + 3_600 }))).toEqual({
      principal: { memberId, expiresAt: now + 3_600 },
    })
})

test('requires exactly one key, and refuses the development secret in production', () => {
  const Config = z
    .object({ NODE_ENV: z.string().default('development'), ...tokenVariables('MEMBER') })
    .transform((environment, context) => tokenKey('MEMBER', environment, context))
  expect(readConfig(Config, { MEMBER_JWT_SECRET: secret })).toEqual({ secret })
  expect(readConfig(Config, { MEMBER_JWT_SECRET: developmentSecrets.member })).toEqual({ secret: developmentSecrets.member })
  const wrong: [NodeJS.ProcessEnv, string][] = [
    [{}, 'exactly one'],
    [{ MEMBER_JWT_SECRET: secret, MEMBER_JWKS_URL: 'https://issuer.example' }, 'exactly one'],
    [{ MEMBER_JWT_SECRET: 'short' }, 'at least 32 bytes'],
    [{ MEMBER_JWT_PUBLIC_KEY: 'not a key' }, 'PEM'],
    [{ MEMBER_JWKS_URL: 'ftp://issuer.example' }, 'MEMBER_JWKS_URL'],
    [{ MEMBER_JWT_SECRET: developmentSecrets.member, NODE_ENV: 'production' }, 'not allowed in production'],
  ]
  for (const [environment, message] of wrong) expect(() => readConfig(Config, environment)).toThrow(message)
})
