import { generateKeyPairSync } from 'node:crypto'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { openTokenVerifier } from './token.ts'
import { settings, signWith, startIssuer } from './token.test.fixture.ts'

const ed = generateKeyPairSync('ed25519')
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const jwkOf = ({ publicKey }: typeof ed, members: object = {}) => ({ ...publicKey.export({ format: 'jwk' }), ...members })

/** Starts an issuer, and a verifier of its tokens that reads `clock` and reports to `lines` and `failures`. */
async function open(keys: readonly object[]) {
  const issuer = {
    keys,
    status: 200,
    hanging: false,
    requests: 0,
    clock: 0,
    failures: 0,
    lines: [] as { msg: string; keys?: string[] }[],
    close: () => {},
  }
  const { url, close } = await startIssuer((_request, response) => {
    issuer.requests++
    response.statusCode = issuer.status
    if (!issuer.hanging) response.end(JSON.stringify({ keys: issuer.keys }))
  })
  issuer.close = close
  const log = pino({ level: 'warn' }, { write: (line) => void issuer.lines.push(JSON.parse(line) as never) })
  const now = () => issuer.clock
  const tokens = openTokenVerifier(settings({ jwksUrl: url }), { now, log, onJwksFailure: () => issuer.failures++ })
  return { issuer, tokens }
}

const admitted = expect.objectContaining({ subject: '7' })
const refused = (reason: string) => expect.objectContaining({ refused: expect.stringContaining(reason) })

const edToken = (kid?: string) => signWith(ed.privateKey, 'EdDSA', kid)
const ecToken = (kid?: string) => signWith(ec.privateKey, 'ES256', kid)
const weak = generateKeyPairSync('rsa', { modulusLength: 1_024 })
const strong = generateKeyPairSync('rsa', { modulusLength: 2_048 })
const unsupported = jwkOf(generateKeyPairSync('ec', { namedCurve: 'P-384' }), { kid: 'p384' })

test.each<readonly [name: string, keys: readonly object[], token: string, outcome: unknown]>([
  ['a key named by the token', [jwkOf(ed, { kid: 'a' }), jwkOf(ec, { kid: 'b' })], ecToken('b'), admitted],
  [
    'a token that names another key than it is signed with',
    [jwkOf(ed, { kid: 'a' }), jwkOf(ec, { kid: 'b' })],
    ecToken('a'),
    refused('algorithm'),
  ],
  [
    'a token that names no key, and several keys',
    [jwkOf(ed, { kid: 'a' }), jwkOf(ec, { kid: 'b' })],
    edToken(),
    refused('names no key'),
  ],
  ['a token that names an unknown key', [jwkOf(ed, { kid: 'a' })], edToken('b'), refused('unknown key')],
  ['one key, and no kid in the token', [jwkOf(ed, { kid: 'a' })], edToken(), admitted],
  ['one key without kid, and no kid in the token', [jwkOf(ed)], edToken(), admitted],
  ['one key without kid, and a kid in the token', [jwkOf(ed)], edToken('a'), admitted],
  ['one key without kid, and a token of another key', [jwkOf(ed)], ecToken('a'), refused('algorithm')],
  ['one key for signatures, one for encryption', [jwkOf(ed), jwkOf(ec, { use: 'enc' })], edToken(), admitted],
  ['one key, and one that is not supported', [jwkOf(ed, { kid: 'a' }), unsupported], edToken(), admitted],
  ['two keys without kid', [jwkOf(ed), jwkOf(ec)], edToken(), refused('names no key')],
  ['an RSA key of 1,024 bits', [jwkOf(weak, { kid: 'w' })], signWith(weak.privateKey, 'RS256', 'w'), refused('unknown key')],
  [
    'an RSA key of 2,048 bits beside a weak one',
    [jwkOf(weak, { kid: 'w' }), jwkOf(strong, { kid: 's' })],
    signWith(strong.privateKey, 'RS256', 's'),
    admitted,
  ],
  [
    'an RSA key for another algorithm',
    [jwkOf(strong, { kid: 's', alg: 'PS256' })],
    signWith(strong.privateKey, 'RS256', 's'),
    refused('unknown key'),
  ],
  ['a symmetric key', [{ kty: 'oct', kid: 'o', k: 'AAAA' }, jwkOf(ed, { kid: 'a' })], edToken('o'), refused('unknown key')],
  ['a token that is none', [jwkOf(ed)], 'garbage', refused('malformed')],
  ['a token whose header is null', [jwkOf(ed)], 'bnVsbA.e30.AAAA', refused('malformed')],
])('%s', async (_, keys, token, outcome) => {
  const { tokens } = await open(keys)
  expect(await tokens.verify(token)).toEqual(outcome)
})

test('keys that are ignored are logged once, and the others verify', async () => {
  const { issuer, tokens } = await open([jwkOf(ed, { kid: 'a' }), jwkOf(weak, { kid: 'w' }), unsupported, jwkOf(ec)])
  for (const _ of [1, 2, 3]) {
    expect(await tokens.verify(edToken('a'))).toEqual(admitted)
    expect(await tokens.verify(edToken('b'))).toEqual(refused('unknown key'))
    issuer.clock += 11_000
  }
  expect(issuer.requests).toBe(3)
  expect(issuer.lines).toMatchObject([{ msg: 'keys of the JWKS are ignored' }])
  expect(issuer.lines[0]?.keys).toEqual([
    expect.stringContaining('w: RSA keys of 1024 bits are too short'),
    expect.stringContaining('p384: '),
    'key without kid: the set has others',
  ])
})

test('fetches a rotated key, at most once in ten seconds', async () => {
  const { issuer, tokens } = await open([jwkOf(ed, { kid: 'a' }), { kty: 'unknown', kid: 'odd' }])
  expect(await tokens.verify(edToken('a'))).toEqual(admitted)
  issuer.keys = [jwkOf(ed, { kid: 'a' }), jwkOf(ec, { kid: 'b' })]
  expect(await tokens.verify(ecToken('b'))).toEqual(refused('unknown key'))
  expect(issuer.requests, 'one fetch within the cooldown').toBe(1)
  issuer.clock += 11_000
  expect(await tokens.verify(ecToken('b'))).toEqual(admitted)
  expect(issuer.requests).toBe(2)
})

test('fetches the only key again when it was replaced by another one without kid', async () => {
  const { issuer, tokens } = await open([jwkOf(ed)])
  expect(await tokens.verify(edToken())).toEqual(admitted)
  issuer.keys = [jwkOf(ec)]
  expect(await tokens.verify(ecToken())).toEqual(refused('algorithm'))
  issuer.clock += 11_000
  expect(await tokens.verify(ecToken())).toEqual(admitted)
  expect(await tokens.verify(edToken())).toEqual(refused('algorithm'))
  expect(issuer.requests).toBe(2)
})

test('a token that names a known key never causes a fetch, however it is signed', async () => {
  const { issuer, tokens } = await open([jwkOf(ed, { kid: 'a' })])
  expect(await tokens.verify(edToken('a'))).toEqual(admitted)
  issuer.clock += 11_000
  expect(tokens.verify(ecToken('a')), 'without a promise').toEqual(refused('algorithm'))
  expect(issuer.requests).toBe(1)
})

test.each<readonly [name: string, fail: (issuer: Awaited<ReturnType<typeof open>>['issuer']) => void]>([
  ['is down', (issuer) => issuer.close()],
  ['responds with 500', (issuer) => (issuer.status = 500)],
  ['has no key', (issuer) => (issuer.keys = [])],
  ['has no usable key', (issuer) => (issuer.keys = [jwkOf(weak, { kid: 'w' })])],
])('the known keys stay when the issuer %s; the next try comes soon', async (_, fail) => {
  const { issuer, tokens } = await open([jwkOf(ed, { kid: 'a' })])
  expect(await tokens.verify(edToken('a'))).toEqual(admitted)
  fail(issuer)
  for (const failures of [1, 2]) {
    issuer.clock += failures === 1 ? 700_000 : 11_000
    expect(tokens.verify(edToken('a')), 'without a promise').toEqual(admitted)
    await expect.poll(() => issuer.failures).toBe(failures)
  }
  expect(issuer.lines.filter(({ msg }) => msg === 'the JWKS could not be fetched')).toHaveLength(1)
  expect(tokens.verify(edToken('a'))).toEqual(admitted)
  expect(issuer.failures, 'no try within the cooldown').toBe(2)
})

test('an issuer that hangs delays no token of a known key', async () => {
  const { issuer, tokens } = await open([jwkOf(ed, { kid: 'a' })])
  expect(await tokens.verify(edToken('a'))).toEqual(admitted)
  issuer.hanging = true
  issuer.clock += 700_000
  expect(tokens.verify(edToken('a')), 'without a promise').toEqual(admitted)
  // A token of another key shares the request, and waits for its timeout.
  expect(await tokens.verify(edToken('b'))).toEqual(refused('unknown key'))
  expect([issuer.requests, issuer.failures]).toEqual([2, 1])
  issuer.hanging = false
  issuer.clock += 11_000
  expect(tokens.verify(edToken('a'))).toEqual(admitted)
  await expect.poll(() => issuer.requests).toBe(3)
}, 30_000)
