import { createHmac, type KeyObject } from 'node:crypto'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createSigner } from 'fast-jwt'
import { onTestFinished } from 'vitest'
import type { ClaimRules } from './claims.ts'
import type { TokenKey, TokenSettings } from './token.ts'

export const secret = 'a secret of more than thirty-two bytes'
export const now = Math.floor(Date.now() / 1_000)
export const good = { sub: '7', iat: now, exp: now + 3_600 }

const rules: ClaimRules = { subjectClaim: 'sub', leewaySeconds: 5, maxTokenDays: 90 }

/** Returns the settings of a service without any variable but the key. */
export function settings(key: TokenKey = { secret }, others: Partial<ClaimRules> = {}): TokenSettings {
  return { key, rules: { ...rules, ...others }, unset: [] }
}

export const encode = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

/** Signs any claims, also those that a library refuses to sign. A text is signed as it is. */
export function signText(claims: unknown, key = secret): string {
  const unsigned = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`
  return `${unsigned}.${createHmac('sha256', key).update(unsigned).digest('base64url')}`
}

/** Signs with a private key. */
export function signWith(key: KeyObject, algorithm: 'RS256' | 'ES256' | 'EdDSA', kid?: string): string {
  return createSigner({ key: pem(key), algorithm, ...(kid !== undefined && { kid }) })(good)
}

export const pem = (key: KeyObject) => key.export({ type: key.type === 'public' ? 'spki' : 'pkcs8', format: 'pem' }).toString()

/** Starts an issuer for one test, and resolves to the URL of its key set. */
export async function startIssuer(respond: RequestListener): Promise<{ url: string; close: () => void }> {
  const server = createServer(respond).listen(0, '127.0.0.1')
  const close = () => {
    server.close()
    server.closeAllConnections()
  }
  onTestFinished(close)
  await new Promise((resolve) => server.once('listening', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`, close }
}
