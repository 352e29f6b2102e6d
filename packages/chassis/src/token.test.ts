import { createHmac, generateKeyPairSync } from 'node:crypto'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { readConfig, serviceVariables } from './config.ts'
import { developmentSecrets, openTokenVerifier, tokenSettings, tokenVariables } from './token.ts'
import { encode, good, pem, secret, settings, signText, signWith } from './token.test.fixture.ts'

const otherSecret = 'another secret, of more than thirty-two bytes'
const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 })
const second = generateKeyPairSync('ec', { namedCurve: 'P-256' })

test('returns the claims of a valid token, and the one that identifies the caller', async () => {
  const verdict = await openTokenVerifier(settings()).verify(signText({ ...good, scope: 'a b' }))
  expect(verdict).toEqual({ claims: { ...good, scope: 'a b' }, subject: '7' })
})

test('refuses a token that is not signed with the key, with the reason', async () => {
  const [head, payload, signature] = signText(good).split('.') as [string, string, string]
  const hs512Head = encode({ alg: 'HS512', typ: 'JWT' })
  const hs512 = createHmac('sha512', secret).update(`${hs512Head}.${payload}`).digest('base64url')
  const cases: Record<string, [string | undefined, string]> = {
    missing: [undefined, 'no token'],
    empty: ['', 'no token'],
    garbage: ['garbage', 'malformed'],
    tampered: [`${head}.${encode({ ...good, sub: '8' })}.${signature}`, 'signature'],
    'a short signature': [`${head}.${payload}.AAAA`, 'signature'],
    'other secret': [signText(good, otherSecret), 'signature'],
    'alg none': [`${encode({ alg: 'none', typ: 'JWT' })}.${payload}.`, 'not signed'],
    'alg none with a signature': [`${encode({ alg: 'none', typ: 'JWT' })}.${payload}.${signature}`, 'algorithm'],
    'no alg': [`${encode({ typ: 'JWT' })}.${payload}.${signature}`, 'algorithm'],
    'another algorithm': [`${hs512Head}.${payload}.${hs512}`, 'algorithm'],
    'a critical extension': [`${encode({ alg: 'HS256', crit: ['x'], x: 1 })}.${payload}.${signature}`, 'signature'],
  }
  const tokens = openTokenVerifier(settings())
  for (const [name, [token, reason]] of Object.entries(cases)) {
    expect(await tokens.verify(token), name).toHaveProperty('refused', expect.stringContaining(reason))
  }
})

test('refuses an HMAC of the public key', async () => {
  const tokens = openTokenVerifier(settings({ publicKey: pem(publicKey) }))
  expect(await tokens.verify(signText(good, pem(publicKey)))).toHaveProperty('refused', expect.stringContaining('algorithm'))
})

test('verifies with RSA, P-256 and Ed25519 public keys, also with line ends written as \\n', async () => {
  const pairs = {
    RS256: { publicKey, privateKey },
    ES256: second,
    EdDSA: generateKeyPairSync('ed25519'),
  } as const
  for (const [algorithm, pair] of Object.entries(pairs)) {
    const tokens = openTokenVerifier(settings({ publicKey: pem(pair.publicKey).replaceAll('\n', '\\n') }))
    const token = signWith(pair.privateKey, algorithm as 'RS256')
    expect(await tokens.verify(token), algorithm).toHaveProperty('subject', '7')
    expect(await tokens.verify(`${token.slice(0, token.lastIndexOf('.'))}.AAAA`), algorithm).toHaveProperty(
      'refused',
      expect.stringContaining('signature'),
    )
  }
})

test('a rotated key: the previous secret, or a second public key, verifies too', async () => {
  const secrets = openTokenVerifier(settings({ secret, previousSecret: otherSecret }), { cacheSize: 2 })
  for (const token of [signText(good), signText(good, otherSecret), signText(good, otherSecret)])
    expect(await secrets.verify(token)).toHaveProperty('subject', '7')
  expect(await secrets.verify(signText(good, `${secret}!`))).toHaveProperty('refused', expect.stringContaining('signature'))

  const pems = openTokenVerifier(settings({ publicKey: `${pem(publicKey)}\n${pem(second.publicKey)}` }))
  expect(await pems.verify(signWith(privateKey, 'RS256'))).toHaveProperty('subject', '7')
  expect(await pems.verify(signWith(second.privateKey, 'ES256'))).toHaveProperty('subject', '7')
  expect(await pems.verify(signText(good))).toHaveProperty('refused', expect.stringContaining('algorithm'))
})

const Config = z
  .object({ ...serviceVariables({ service: 1, ops: 2 }), ...tokenVariables('MEMBER') })
  .transform((variables, context) => tokenSettings('MEMBER', variables, context))
const required = { ALLOWED_ORIGINS: 'https://app.example' }
const configFrom = (environment: NodeJS.ProcessEnv) => readConfig(Config, { ...required, ...environment })

test('reads the settings of tokens', () => {
  expect(configFrom({ MEMBER_JWT_SECRET: secret })).toMatchObject({ key: { secret }, rules: settings().rules, unset: [] })
  const all = {
    MEMBER_JWT_SECRET: secret,
    MEMBER_JWT_SECRET_PREVIOUS: 'a secret, with commas, and longer than thirty-two',
    MEMBER_CLAIM: 'https://app.example/member',
    MEMBER_ISSUER: 'https://issuer.example',
    MEMBER_AUDIENCE: 'tidings',
    CLOCK_LEEWAY_SECONDS: '0',
    MAX_TOKEN_DAYS: '7',
  }
  expect(configFrom(all)).toEqual({
    key: { secret, previousSecret: all.MEMBER_JWT_SECRET_PREVIOUS },
    rules: {
      subjectClaim: all.MEMBER_CLAIM,
      issuer: all.MEMBER_ISSUER,
      audience: 'tidings',
      leewaySeconds: 0,
      maxTokenDays: 7,
    },
    unset: [],
  })
  expect(configFrom({ MEMBER_JWT_SECRET: developmentSecrets.member })).toMatchObject({
    key: { secret: developmentSecrets.member },
  })
})

test('warns once of an issuer and an audience that are not checked in production', () => {
  const lines: string[] = []
  const log = pino({ level: 'warn' }, { write: (line) => void lines.push(line) })
  const production = { NODE_ENV: 'production', MEMBER_JWT_SECRET: secret }
  openTokenVerifier(configFrom({ ...production, NODE_ENV: 'development' }), { log })
  openTokenVerifier(configFrom({ ...production, MEMBER_ISSUER: 'i', MEMBER_AUDIENCE: 'a' }), { log })
  expect(lines).toEqual([])
  openTokenVerifier(configFrom({ ...production, MEMBER_ISSUER: 'i' }), { log })
  openTokenVerifier(configFrom(production), { log })
  expect(lines.map((line) => (JSON.parse(line) as { unset: string[] }).unset)).toEqual([
    ['MEMBER_AUDIENCE'],
    ['MEMBER_ISSUER', 'MEMBER_AUDIENCE'],
  ])
})

const weak = pem(generateKeyPairSync('rsa', { modulusLength: 1_024 }).publicKey)

test.each<readonly [name: string, environment: NodeJS.ProcessEnv, message: string]>([
  ['no key', {}, 'exactly one'],
  ['two keys', { MEMBER_JWT_SECRET: secret, MEMBER_JWKS_URL: 'https://issuer.example' }, 'exactly one'],
  ['a short secret', { MEMBER_JWT_SECRET: 'short' }, 'MEMBER_JWT_SECRET: must be at least 32 bytes'],
  [
    'a short previous secret',
    { MEMBER_JWT_SECRET: secret, MEMBER_JWT_SECRET_PREVIOUS: 'short' },
    'PREVIOUS: must be at least 32',
  ],
  ['only a previous secret', { MEMBER_JWT_SECRET_PREVIOUS: secret }, 'exactly one'],
  [
    'a previous secret of a JWKS',
    { MEMBER_JWKS_URL: 'https://i.example', MEMBER_JWT_SECRET_PREVIOUS: secret },
    'which is not set',
  ],
  ['a PEM that is none', { MEMBER_JWT_PUBLIC_KEY: 'not a key' }, 'PEM'],
  ['a private key', { MEMBER_JWT_PUBLIC_KEY: pem(privateKey) }, 'PEM'],
  ['an RSA key of 1,024 bits', { MEMBER_JWT_PUBLIC_KEY: weak }, 'RSA of at least 2048 bits'],
  ['a weak key after a good one', { MEMBER_JWT_PUBLIC_KEY: pem(publicKey) + weak }, 'RSA of at least 2048 bits'],
  ['a JWKS of another protocol', { MEMBER_JWKS_URL: 'ftp://issuer.example' }, 'MEMBER_JWKS_URL'],
  [
    'the development secret in production',
    { MEMBER_JWT_SECRET: developmentSecrets.member, NODE_ENV: 'production' },
    'MEMBER_JWT_SECRET: is the public development secret',
  ],
  [
    'the development secret as previous one in production',
    { MEMBER_JWT_SECRET: secret, MEMBER_JWT_SECRET_PREVIOUS: developmentSecrets.service, NODE_ENV: 'production' },
    'MEMBER_JWT_SECRET_PREVIOUS: is the public development secret',
  ],
  ['a claim with a quote', { MEMBER_JWT_SECRET: secret, MEMBER_CLAIM: 'a"b' }, 'MEMBER_CLAIM'],
  ['a negative leeway', { MEMBER_JWT_SECRET: secret, CLOCK_LEEWAY_SECONDS: '-1' }, 'CLOCK_LEEWAY_SECONDS'],
  ['a leeway of more than five minutes', { MEMBER_JWT_SECRET: secret, CLOCK_LEEWAY_SECONDS: '301' }, 'CLOCK_LEEWAY_SECONDS'],
  ['no life of tokens', { MEMBER_JWT_SECRET: secret, MAX_TOKEN_DAYS: '0' }, 'MAX_TOKEN_DAYS'],
  ['a life of eleven years', { MEMBER_JWT_SECRET: secret, MAX_TOKEN_DAYS: '4000' }, 'MAX_TOKEN_DAYS: is at most 3650'],
])('the settings are refused: %s', (_, environment, message) => {
  expect(() => configFrom(environment)).toThrow(message)
})
