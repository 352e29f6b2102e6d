import { type MemberId, parseMemberId } from '@tidings/protocol'
import { createSigner } from 'fast-jwt'

/** Secrets that the local stack signs with. The services refuse both when NODE_ENV is production. */
export const developmentSecrets = {
  member: 'tidings-development-member-secret-0123456789',
  service: 'tidings-development-service-secret-0123456789',
} as const

export const serviceScopes = [
  'notification:send',
  'notification:broadcast',
  'notification:read',
  'notification:recall',
  'notification:status',
  'message:send',
  'presence:read',
  'session:revoke',
  'task:write',
] as const
export type ServiceScope = (typeof serviceScopes)[number]

export interface TokenOptions {
  /** One hour by default; negative for an expired token. */
  readonly expiresInSeconds?: number
  readonly secret?: string
  /** Claims added to the default ones, or replacing them. */
  readonly claims?: Readonly<Record<string, unknown>>
}

/** Returns the JWT of a member's browser, for the cookie `access_token`. */
export function memberToken(memberId: MemberId, options: TokenOptions = {}): string {
  return sign({ sub: String(memberId) }, developmentSecrets.member, options)
}

/** Returns the JWT of a product backend, for `Authorization: Bearer`, with all scopes by default. */
export function serviceToken({
  scopes = serviceScopes,
  ...options
}: TokenOptions & { scopes?: readonly ServiceScope[] } = {}): string {
  return sign({ sub: 'local', scope: scopes.join(' ') }, developmentSecrets.service, options)
}

/** Prints a token: `npm run -s token -- member 7` and `npm run -s token -- service`. */
export function printToken([kind, memberId]: readonly string[]): void {
  if (kind === 'service') return console.log(serviceToken({ expiresInSeconds: 86_400 }))
  const id = parseMemberId(memberId)
  if (kind === 'member' && id !== undefined) return console.log(memberToken(id, { expiresInSeconds: 86_400 }))
  console.error('usage: npm run -s token -- member <memberId> | npm run -s token -- service')
  process.exitCode = 2
}

function sign(
  claims: object,
  defaultSecret: string,
  { expiresInSeconds = 3_600, secret = defaultSecret, claims: other = {} }: TokenOptions,
): string {
  const iat = Math.floor(Date.now() / 1_000)
  return createSigner({ algorithm: 'HS256', key: secret })({ ...claims, iat, exp: iat + expiresInSeconds, ...other })
}
