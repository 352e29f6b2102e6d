import { positive, readConfig, redisTarget, serviceVariables, tokenSettings, tokenVariables, within } from '@tidings/chassis'
import { defaultLimits, isTopicPattern } from '@tidings/protocol'
import { z } from 'zod'
import { sweepMs } from './session/sweep-interval.ts'

const msPerSecond = 1_000
/** Largest delay of a timer. Node runs a timer with a larger one at once. */
const maxTimerMs = 2_147_483_647
/** Largest drain: `maxTimerMs`, less what the close after the drain may take. */
const maxDrainSeconds = 2_000_000
/** A session lives longer than its client takes to reconnect. */
const minAgeSeconds = 5
const maxAgeSeconds = 31_536_000
/** CONNECT of a stock client, and a line with the longest destination, fit into these. */
const minFrameBytes = 1_024
const minHeaders = 8
const minHeaderBytes = 256
/** CONNECT, and the SUBSCRIBE frames that follow it at once, fit into the burst. */
const minFramesPerSecond = 10
/** More than a transport gathers in one tick, so that a client that reads everything is not taken for a slow one. */
const minBufferedBytes = 131_072
/** With less unread than this a replay that keeps a fast client busy would pause. */
const minReplayBytes = 16_384
/** Resolution of the age of buffered bytes. */
const minBufferedMs = 1_000
/** The sweep finds a deadline up to one interval late, and sends a heart-beat up to one early. */
const minPeriodMs = 2 * sweepMs
/** STOMP heart-beats are numbers of at most nine digits (PROTOCOL.md §5). */
const maxHeartBeatMs = 999_999_999

/** The environment variables of this service. */
export const Variables = z.object({
  ...serviceVariables({ service: 8_082, ops: 9_082 }),
  ...tokenVariables('MEMBER'),
  PUBLIC_TOPICS: z
    .string()
    .transform((list) => list.split(',').map((pattern) => pattern.trim()))
    .pipe(z.array(z.string().refine(isTopicPattern, 'must be names of topics, or beginnings of names followed by *')))
    .default([]),
  NOTIFY_API_URL: z.url({ protocol: /^https?$/ }).default('http://127.0.0.1:8081'),
  DRAIN_SECONDS: positive(20).check(...within(1, maxDrainSeconds)),
  SESSION_MAX_AGE_SECONDS: positive(14_400).check(...within(minAgeSeconds, maxAgeSeconds)),
  MAX_SESSIONS: positive(20_000).check(...within(1, 1_000_000)),
  MAX_SESSIONS_PER_MEMBER: positive(10).check(...within(1, 10_000)),
  MAX_SUBSCRIPTIONS_PER_SESSION: positive(64).check(...within(1, 10_000)),
  MAX_FRAME_BYTES: positive(defaultLimits.maxFrameBytes).check(...within(minFrameBytes, 16_777_216)),
  MAX_HEADERS: positive(defaultLimits.maxHeaders).check(...within(minHeaders, 1_000)),
  MAX_HEADER_BYTES: positive(defaultLimits.maxHeaderBytes).check(...within(minHeaderBytes, 65_536)),
  MAX_FRAMES_PER_SECOND: positive(100).check(...within(minFramesPerSecond, 1_000_000)),
  MAX_UNACKED_MESSAGES: positive(256).check(...within(1, 100_000)),
  MAX_TRANSACTIONS: positive(8).check(...within(1, 1_000)),
  MAX_TRANSACTION_FRAMES: positive(32).check(...within(1, 10_000)),
  MAX_BUFFERED_BYTES: positive(1_048_576).check(...within(minBufferedBytes, 1_073_741_824)),
  MAX_BUFFERED_MS: positive(10_000).check(...within(minBufferedMs, maxTimerMs)),
  MAX_REPLAY_BYTES: positive(262_144).check(...within(minReplayBytes, 1_073_741_824)),
  CONNECT_TIMEOUT_MS: positive(10_000).check(...within(minPeriodMs, maxTimerMs)),
  HEART_BEAT_MS: positive(10_000).check(...within(minPeriodMs, maxHeartBeatMs)),
})

const Config = Variables.transform((variables, context) => ({
  logLevel: variables.LOG_LEVEL,
  host: variables.HOST,
  port: variables.PORT,
  opsHost: variables.OPS_HOST ?? variables.HOST,
  opsPort: variables.OPS_PORT,
  redis: redisTarget(variables, context),
  notifyApiUrl: variables.NOTIFY_API_URL,
  memberCookie: variables.MEMBER_COOKIE,
  memberTokens: tokenSettings('MEMBER', variables, context),
  publicTopics: variables.PUBLIC_TOPICS,
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
