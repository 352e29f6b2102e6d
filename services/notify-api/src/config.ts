import { positive, readConfig, redisTarget, serviceVariables, tokenKey, tokenVariables } from '@tidings/chassis'
import { historyLimits } from '@tidings/protocol'
import { z } from 'zod'

const maxEvents = historyLimits.taskEvents.length
/** Upper bound of text and of data, so that a row with both fits into one statement. */
const maxColumnBytes = 4_194_304

/** The environment variables of this service. */
export const Variables = z.object({
  ...serviceVariables({ service: 8081, ops: 9081 }),
  ...tokenVariables('MEMBER'),
  ...tokenVariables('SERVICE'),
  MYSQL_URL: z.url({ protocol: /^mysql$/, error: 'is required: mysql://user:password@host:3306/tidings' }),
  DATABASE_CONNECTIONS: positive(10),
  DATABASE_TIMEOUT_MS: positive(5_000),
  MAX_BODY_BYTES: positive(65_536),
  MAX_GROUP_ROWS: positive(1_000),
  MAX_GROUP_BYTES: positive(1_048_576),
  MAX_QUEUED_WRITES: positive(10_000),
  MAX_QUEUED_BYTES: positive(67_108_864),
  MAX_QUEUED_MS: positive(2_000),
  MAX_SEND_BYTES: positive(16_777_216),
  PUBLISH_TIMEOUT_MS: positive(1_000),
  SERVICE_REQUESTS_PER_MINUTE: positive(1_000_000),
  MEMBER_REQUESTS_PER_MINUTE: positive(600),
  MAX_TASK_TEXT_BYTES: positive(524_288).refine((bytes) => bytes <= maxColumnBytes, `is at most ${maxColumnBytes}`),
  MAX_TASK_DATA_BYTES: positive(524_288).refine((bytes) => bytes <= maxColumnBytes, `is at most ${maxColumnBytes}`),
  MAX_TASK_EVENTS: positive(10_000).refine((events) => events <= maxEvents, `is at most ${maxEvents}, the length of the history`),
  TASK_LEASE_SECONDS: positive(30),
  TASK_ROLLUP_MS: positive(40),
  TASK_STREAM_IDLE_SECONDS: positive(300),
  RETENTION_DAYS: positive(90),
  RETENTION_INTERVAL_SECONDS: positive(60),
})

const Config = Variables.transform((variables, context) => ({
  logLevel: variables.LOG_LEVEL,
  host: variables.HOST,
  port: variables.PORT,
  opsPort: variables.OPS_PORT,
  redis: redisTarget(variables, context),
  allowedOrigins: variables.ALLOWED_ORIGINS,
  member: { key: tokenKey('MEMBER', variables, context), cookie: variables.MEMBER_COOKIE },
  service: { key: tokenKey('SERVICE', variables, context) },
  database: {
    url: variables.MYSQL_URL,
    connections: variables.DATABASE_CONNECTIONS,
    timeoutMs: variables.DATABASE_TIMEOUT_MS,
  },
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
  retention: { days: variables.RETENTION_DAYS, intervalMs: variables.RETENTION_INTERVAL_SECONDS * 1_000 },
}))

export type Config = z.infer<typeof Config>

/** @throws ConfigError that lists every invalid variable, without values. */
export function configFrom(environment: NodeJS.ProcessEnv): Config {
  return readConfig(Config, environment)
}
