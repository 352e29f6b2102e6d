import type { TokenSettings } from '@tidings/chassis'
import type { FastifyRequest } from 'fastify'

/** Options of the demo server. */
export interface DemoOptions {
  /** Base URL of notify-api. */
  readonly notifyApiUrl: string
  /** Origins whose pages may sign in, send and ask. */
  readonly allowedOrigins: readonly string[]
  /** Name of the cookie that holds a member's token. */
  readonly memberCookie: string
  /** How the tokens of members are verified. */
  readonly memberTokens: TokenSettings
  /** Secrets that the demo signs tokens with (HS256). Without them only the page and `/whoami` are served. */
  readonly signingSecrets?: { readonly member: string; readonly service: string } | undefined
  /** Directory of the built page. */
  readonly pageDirectory: string
  /** Called for each request to which notify-api does not respond. */
  readonly onFailure: (error: unknown, request: FastifyRequest) => void
}
