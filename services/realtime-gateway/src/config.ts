import { positive, readConfig, serviceVariables, tokenKey, tokenVariables } from '@tidings/chassis'
import { defaultLimits } from '@tidings/protocol'
import { z } from 'zod'

const seconds = 1_000

const Environment = z.object({
  ...serviceVariables({ service: 8_082, ops: 9_082 }),
  ...tokenVariables('MEMBER'),
  NOTIFY_API_URL: z.url({ protocol: /^https?$/ }).default('http://127.0.0.1:8081'),
  DRAIN_SECONDS: positive(20),
  SESSION_MAX_AGE_SECONDS: positive(14_400),
  MAX_SESSIONS: positive(20_000),
  MAX_SESSIONS_PER_MEMBER: positive(10),
  MAX_SUBSCRIPTIONS_PER_SESSION: positive(64),
  MAX_FRAME_BYTES: positive(defaultLimits.maxFrameBytes),
  MAX_HEADERS: positive(defaultLimits.maxHeaders),
  MAX_HEADER_BYTES: positive(defaultLimits.maxHeaderBytes),
  MAX_FRAMES_PER_SECOND: positive(100),
  MAX_UNACKED_MESSAGES: positive(256),
  MAX_TRANSACTIONS: positive(8),
  MAX_TRANSACTION_FRAMES: positive(32),
  MAX_BUFFERED_BYTES: positive(1_048_576),
  MAX_BUFFERED_MS: positive(10_000),
  CONNECT_TIMEOUT_MS: positive(10_000),
  HEART_BEAT_MS: positive(10_000),
})

export const Config = Environment.transform((environment, context) => ({
  logLevel: environment.LOG_LEVEL,
  host: environment.HOST,
  port: environment.PORT,
  opsPort: environment.OPS_PORT,
  redisUrl: environment.REDIS_URL,
  notifyApiUrl: environment.NOTIFY_API_URL,
  memberCookie: environment.MEMBER_COOKIE,
  memberKey: tokenKey('MEMBER', environment, context),
  allowedOrigins: environment.ALLOWED_ORIGINS,
  drainMs: environment.DRAIN_SECONDS * seconds,
  limits: {
    maxSessions: environment.MAX_SESSIONS,
    maxSessionsPerMember: environment.MAX_SESSIONS_PER_MEMBER,
    sessionMaxAgeMs: environment.SESSION_MAX_AGE_SECONDS * seconds,
    maxSubscriptionsPerSession: environment.MAX_SUBSCRIPTIONS_PER_SESSION,
    maxFrameBytes: environment.MAX_FRAME_BYTES,
    maxHeaders: environment.MAX_HEADERS,
    maxHeaderBytes: environment.MAX_HEADER_BYTES,
    maxFramesPerSecond: environment.MAX_FRAMES_PER_SECOND,
    maxUnackedMessages: environment.MAX_UNACKED_MESSAGES,
    maxTransactions: environment.MAX_TRANSACTIONS,
    maxTransactionFrames: environment.MAX_TRANSACTION_FRAMES,
    maxBufferedBytes: environment.MAX_BUFFERED_BYTES,
    maxBufferedMs: environment.MAX_BUFFERED_MS,
    connectTimeoutMs: environment.CONNECT_TIMEOUT_MS,
    heartBeatMs: environment.HEART_BEAT_MS,
  },
}))
export type Config = z.infer<typeof Config>

/** The bounds of sessions (PROTOCOL.md §8), read from the environment variables of the same names. */
export type Limits = Config['limits']

export function config(environment: NodeJS.ProcessEnv): Config {
  return readConfig(Config, environment)
}
