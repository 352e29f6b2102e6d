import { positive, readConfig, serviceVariables, tokenKey, tokenVariables } from '@tidings/chassis'
import { defaultLimits } from '@tidings/protocol'
import { z } from 'zod'

const msPerSecond = 1_000

const Variables = z.object({
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
  MAX_REPLAY_BYTES: positive(262_144),
  CONNECT_TIMEOUT_MS: positive(10_000),
  HEART_BEAT_MS: positive(10_000),
})

const Config = Variables.transform((variables, context) => ({
  logLevel: variables.LOG_LEVEL,
  host: variables.HOST,
  port: variables.PORT,
  opsPort: variables.OPS_PORT,
  redisUrl: variables.REDIS_URL,
  notifyApiUrl: variables.NOTIFY_API_URL,
  memberCookie: variables.MEMBER_COOKIE,
  memberKey: tokenKey('MEMBER', variables, context),
  allowedOrigins: variables.ALLOWED_ORIGINS,
  drainMs: variables.DRAIN_SECONDS * msPerSecond,
  limits: {
    maxSessions: variables.MAX_SESSIONS,
    maxSessionsPerMember: variables.MAX_SESSIONS_PER_MEMBER,
    sessionMaxAgeMs: variables.SESSION_MAX_AGE_SECONDS * msPerSecond,
    maxSubscriptionsPerSession: variables.MAX_SUBSCRIPTIONS_PER_SESSION,
    maxFrameBytes: variables.MAX_FRAME_BYTES,
    maxHeaders: variables.MAX_HEADERS,
    maxHeaderBytes: variables.MAX_HEADER_BYTES,
    maxFramesPerSecond: variables.MAX_FRAMES_PER_SECOND,
    maxUnackedMessages: variables.MAX_UNACKED_MESSAGES,
    maxTransactions: variables.MAX_TRANSACTIONS,
    maxTransactionFrames: variables.MAX_TRANSACTION_FRAMES,
    maxBufferedBytes: variables.MAX_BUFFERED_BYTES,
    maxBufferedMs: variables.MAX_BUFFERED_MS,
    maxReplayBytes: variables.MAX_REPLAY_BYTES,
    connectTimeoutMs: variables.CONNECT_TIMEOUT_MS,
    heartBeatMs: variables.HEART_BEAT_MS,
  },
}))

export type Config = z.infer<typeof Config>

/** The bounds of sessions (PROTOCOL.md §8), from the environment variables of the same names. */
export type Limits = Config['limits']

/**
 * Reads the settings of the gateway, with defaults for those that are not set.
 *
 * @throws ConfigError that lists every variable that is missing or wrong.
 */
export function configFrom(environment: NodeJS.ProcessEnv): Config {
  return readConfig(Config, environment)
}
