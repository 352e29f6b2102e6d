import {
  claimName,
  positive,
  readConfig,
  redisTarget,
  serviceVariables,
  tokenSettings,
  tokenVariables,
  within,
} from '@tidings/chassis'
import { historyLimits } from '@tidings/protocol'
import { z } from 'zod'
import { mysqlUrl } from './database/mysql-url.ts'
import type { WebPushSettings } from './push/settings.ts'
import { isKeyPair } from './push/vapid.ts'
import type { EscalationSettings } from './reach/escalation.ts'
import { escalationDefaults } from './reach/escalate-setting.ts'
import { type Way, ways } from './reach/way.ts'
import { webhookSecrets } from './webhook/secret.ts'
import { webhookSettings, webhookUrl } from './webhook/setting.ts'

const maxEvents = historyLimits.taskEvents.length
const maxSeconds = 86_400
/** A caller does not wait longer for a response. */
const maxWaitMs = 60_000
/** A delivery ends before its claim does. */
const maxWebhookMs = 8_000
/** The statement of a group fits into the smallest `max_allowed_packet` of the supported servers, 16 MiB, also when escaped. */
const maxGroupBytes = 4_194_304
/** Upper bound of text and of data, so that a row with both fits into one statement. */
const maxColumnBytes = 4_194_304

/** Push services keep a message for four weeks at most. */
const maxPushTtlSeconds = 2_419_200

/** The environment variables of this service. */
export const Variables = z.object({
  ...serviceVariables({ service: 8081, ops: 9081 }),
  ...tokenVariables('MEMBER'),
  ...tokenVariables('SERVICE'),
  SERVICE_SCOPE_CLAIM: claimName.default('scope'),
  MYSQL_URL: mysqlUrl,
  MIGRATE: z.enum(['on', 'off'], 'must be on or off').default('on'),
  DATABASE_CONNECTIONS: positive(10).check(...within(2, 1_000)),
  DATABASE_TIMEOUT_MS: positive(5_000).check(...within(500, maxWaitMs)),
  SHUTDOWN_DELAY_SECONDS: z.coerce
    .number()
    .int()
    .default(5)
    .check(...within(0, 600)),
  MAX_BODY_BYTES: positive(65_536).check(...within(1_024, maxColumnBytes)),
  MAX_GROUP_ROWS: positive(1_000).check(...within(1, 10_000)),
  MAX_GROUP_BYTES: positive(1_048_576).check(...within(1_024, maxGroupBytes)),
  MAX_QUEUED_WRITES: positive(10_000).check(...within(1, 1_000_000)),
  MAX_QUEUED_BYTES: positive(67_108_864).check(...within(65_536, 1_073_741_824)),
  MAX_QUEUED_MS: positive(2_000).check(...within(100, maxWaitMs)),
  MAX_SEND_BYTES: positive(16_777_216).check(...within(65_536, 268_435_456)),
  PUBLISH_TIMEOUT_MS: positive(1_000).check(...within(100, maxWaitMs)),
  SERVICE_REQUESTS_PER_MINUTE: positive(1_000_000).check(...within(1, 1_000_000_000)),
  MEMBER_REQUESTS_PER_MINUTE: positive(600).check(...within(1, 1_000_000_000)),
  MAX_TASK_TEXT_BYTES: positive(524_288).check(...within(1_024, maxColumnBytes)),
  MAX_TASK_DATA_BYTES: positive(524_288).check(...within(1_024, maxColumnBytes)),
  MAX_TASK_EVENTS: positive(10_000).check(...within(10, maxEvents)),
  TASK_LEASE_SECONDS: positive(30).check(...within(1, maxSeconds)),
  TASK_ROLLUP_MS: positive(40).check(...within(1, 1_000)),
  TASK_STREAM_IDLE_SECONDS: positive(300).check(...within(1, maxSeconds)),
  MAX_REVOCATIONS: positive(1_000_000).check(...within(1, 100_000_000)),
  VAPID_PUBLIC_KEY: z.string().optional(),
  VAPID_PRIVATE_KEY: z.string().optional(),
  VAPID_SUBJECT: z
    .string()
    .regex(/^(mailto:[^\s<>@]+@[^\s<>@]+|https:\/\/[^\s<>]+)$/, 'must be mailto: and an address, or an https: URL')
    .optional(),
  PUSH_CONCURRENCY: positive(500).check(...within(1, 10_000)),
  PUSH_PER_ORIGIN: positive(100).check(...within(1, 10_000)),
  PUSH_TTL_SECONDS: positive(259_200).check(...within(1, maxPushTtlSeconds)),
  PUSH_PRIVATE_ADDRESSES: z.enum(['refuse', 'allow'], 'must be refuse or allow').default('refuse'),
  MAX_PUSH_SUBSCRIPTIONS: positive(10).check(...within(1, 100)),
  ESCALATE: z.string().optional(),
  PUSH_GRACE_SECONDS: z.coerce
    .number()
    .int()
    .default(5)
    .check(...within(0, 3_600)),
  BROADCAST_LOOKBACK_DAYS: positive(7).check(...within(1, 36_500)),
  WEBHOOK_URL: webhookUrl.optional(),
  WEBHOOK_SECRET: webhookSecrets.optional(),
  WEBHOOK_TIMEOUT_MS: positive(5_000).check(...within(100, maxWebhookMs)),
  WEBHOOK_CONCURRENCY: positive(20).check(...within(1, 1_000)),
  WEBHOOK_MAX_ATTEMPTS: positive(20).check(...within(1, 100)),
  RETENTION_DAYS: positive(90).check(...within(1, 36_500)),
  RETENTION_INTERVAL_SECONDS: positive(60).check(...within(1, maxSeconds)),
})

const Config = Variables.transform((variables, context) => ({
  logLevel: variables.LOG_LEVEL,
  host: variables.HOST,
  port: variables.PORT,
  opsHost: variables.OPS_HOST ?? variables.HOST,
  opsPort: variables.OPS_PORT,
  redis: redisTarget(variables, context),
  allowedOrigins: variables.ALLOWED_ORIGINS,
  member: { tokens: tokenSettings('MEMBER', variables, context), cookie: variables.MEMBER_COOKIE },
  service: { tokens: tokenSettings('SERVICE', variables, context), scopeClaim: variables.SERVICE_SCOPE_CLAIM },
  migrate: variables.MIGRATE === 'on',
  database: {
    url: variables.MYSQL_URL,
    connections: variables.DATABASE_CONNECTIONS,
    timeoutMs: variables.DATABASE_TIMEOUT_MS,
  },
  shutdownDelayMs: variables.SHUTDOWN_DELAY_SECONDS * 1_000,
  maxBodyBytes: variables.MAX_BODY_BYTES,
  group: {
    maxRows: variables.MAX_GROUP_ROWS,
    maxBytes: variables.MAX_GROUP_BYTES,
    maxQueued: variables.MAX_QUEUED_WRITES,
    maxQueuedBytes: variables.MAX_QUEUED_BYTES,
    maxWaitMs: variables.MAX_QUEUED_MS,
  },
  maxSendBytes: variables.MAX_SEND_BYTES,
  publishTimeoutMs: variables.PUBLISH_TIMEOUT_MS,
  requestsPerMinute: { service: variables.SERVICE_REQUESTS_PER_MINUTE, member: variables.MEMBER_REQUESTS_PER_MINUTE },
  task: {
    limits: {
      maxTextBytes: variables.MAX_TASK_TEXT_BYTES,
      maxDataBytes: variables.MAX_TASK_DATA_BYTES,
      maxEvents: variables.MAX_TASK_EVENTS,
      leaseMs: variables.TASK_LEASE_SECONDS * 1_000,
    },
    idleMs: variables.TASK_STREAM_IDLE_SECONDS * 1_000,
  },
  taskStream: { rollUpMs: variables.TASK_ROLLUP_MS, maxLineBytes: variables.MAX_BODY_BYTES },
  escalation: escalationSettings(variables, context),
  maxRevocations: variables.MAX_REVOCATIONS,
  tokenLife: { maxTokenSeconds: variables.MAX_TOKEN_DAYS * 86_400, leewaySeconds: variables.CLOCK_LEEWAY_SECONDS },
  push: pushSettings(variables, context),
  maxPushSubscriptions: variables.MAX_PUSH_SUBSCRIPTIONS,
  broadcastLookbackDays: variables.BROADCAST_LOOKBACK_DAYS,
  webhook: webhookSettings(variables, context),
  retention: { days: variables.RETENTION_DAYS, intervalMs: variables.RETENTION_INTERVAL_SECONDS * 1_000 },
}))

function escalationSettings(variables: z.infer<typeof Variables>, context: z.core.$RefinementCtx): EscalationSettings {
  const isConfigured: Readonly<Record<Way, boolean>> = {
    push: variables.VAPID_PUBLIC_KEY !== undefined,
    webhook: variables.WEBHOOK_URL !== undefined,
  }
  const configured = new Set(ways.filter((way) => isConfigured[way]))
  const defaults = escalationDefaults(variables.ESCALATE, configured, context)
  return { defaults, configured, pushGraceMs: variables.PUSH_GRACE_SECONDS * 1_000 }
}

export type Config = z.infer<typeof Config>

/** Returns the settings of Web Push; undefined when it is not configured. Adds an issue when a part is missing. */
function pushSettings(variables: z.infer<typeof Variables>, context: z.RefinementCtx): WebPushSettings | undefined {
  const { VAPID_PUBLIC_KEY: publicKey, VAPID_PRIVATE_KEY: privateKey, VAPID_SUBJECT: subject } = variables
  const refuse = (name: string, message: string) => context.addIssue({ code: 'custom', path: [name], message })
  const given = Object.entries({ VAPID_PUBLIC_KEY: publicKey, VAPID_PRIVATE_KEY: privateKey, VAPID_SUBJECT: subject })
  if (given.every(([, value]) => value === undefined)) return undefined
  for (const [name, value] of given)
    if (value === undefined) refuse(name, 'is required when the other two VAPID_ variables are set')
  if (publicKey === undefined || privateKey === undefined || subject === undefined) return undefined
  if (!isKeyPair(publicKey, privateKey))
    refuse('VAPID_PRIVATE_KEY', 'must be 32 bytes in base64url, the private key of VAPID_PUBLIC_KEY')
  return {
    vapid: { publicKey, privateKey, subject },
    concurrency: variables.PUSH_CONCURRENCY,
    perOrigin: variables.PUSH_PER_ORIGIN,
    ttlSeconds: variables.PUSH_TTL_SECONDS,
    privateAddresses: variables.PUSH_PRIVATE_ADDRESSES,
  }
}

/** @throws ConfigError that lists every invalid variable, without values. */
export function configFrom(environment: NodeJS.ProcessEnv): Config {
  return readConfig(Config, environment)
}

const MigrationVariables = Variables.pick({ LOG_LEVEL: true, MYSQL_URL: true })

/**
 * Returns the settings of `migrate.ts`, which needs no others.
 *
 * @throws ConfigError that lists every invalid variable, without values.
 */
export function migrationConfigFrom(environment: NodeJS.ProcessEnv): z.infer<typeof MigrationVariables> {
  return readConfig(MigrationVariables, environment)
}
