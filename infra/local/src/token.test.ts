import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { createDecoder, createVerifier } from 'fast-jwt'
import { expect, test } from 'vitest'
import { developmentSecrets, memberToken, serviceScopes, serviceToken } from './token.ts'

const verifyMember = createVerifier({ key: developmentSecrets.member, algorithms: ['HS256'] })
const verifyService = createVerifier({ key: developmentSecrets.service, algorithms: ['HS256'] })
const decode = createDecoder()

function printed(...args: string[]): string {
  const script = `import { printToken } from '${pathToFileURL(join(import.meta.dirname, '../dist/token.js')).href}'; printToken(process.argv.slice(1))`
  return execFileSync(process.execPath, ['--input-type=module', '--eval', script, ...args], { encoding: 'utf8' })
}

test('a member token names the member and expires after an hour', () => {
  const { sub, iat, exp } = verifyMember(memberToken(7)) as { sub: string; iat: number; exp: number }
  expect([sub, exp - iat]).toEqual(['7', 3_600])
})

test('a service token has all scopes by default, or the given ones', () => {
  const all = serviceScopes.join(' ')
  expect(all.split(' ')).toContain('message:send')
  expect(verifyService(serviceToken())).toMatchObject({ sub: 'local', scope: all })
  expect(verifyService(serviceToken({ scopes: ['task:write'] }))).toMatchObject({ scope: 'task:write' })
})

test('tokens can be made invalid: expired, with another secret, with other claims', () => {
  expect(() => verifyMember(memberToken(7, { expiresInSeconds: -1 }))).toThrow('expired')
  expect(() => verifyMember(memberToken(7, { secret: 'x'.repeat(32) }))).toThrow('signature')
  expect(decode(memberToken(7, { claims: { sub: 'not-a-member-id', exp: undefined } }))).toEqual({
    sub: 'not-a-member-id',
    iat: expect.any(Number),
  })
})

test('npm run -s token prints a token and nothing else', () => {
  expect(verifyMember(printed('member', '7').trimEnd())).toMatchObject({ sub: '7' })
  expect(verifyService(printed('service').trimEnd())).toMatchObject({ sub: 'local' })
})
