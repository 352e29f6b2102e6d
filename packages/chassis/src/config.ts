import { z } from 'zod'
import { misspeltNames } from './misspelt.ts'
import { isOriginPattern } from './origin.ts'

/** A process cannot start until an operator changes something, which the message names. It is printed without its stack. */
export class StartError extends Error {
  override readonly name: string = 'StartError'
}

/** Error of {@link readConfig}. The message has one line for each invalid variable, without its value, which may be a secret. */
export class ConfigError extends StartError {
  override readonly name = 'ConfigError'
}

/**
 * Parses environment variables with a schema. An empty variable counts as unset.
 *
 * @throws ConfigError that lists every invalid variable, and those whose names are misspelt.
 */
export function readConfig<S extends z.ZodType>(schema: S, environment: NodeJS.ProcessEnv): z.infer<S> {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''))
  const result = schema.safeParse(given)
  const misspelt = misspeltNames(Object.keys(given), variablesOf(schema))
  if (result.success && misspelt.length === 0) return result.data
  const issues = result.error?.issues ?? []
  const lines = [
    ...misspelt.map(({ name, message }) => `${name}: ${message}`),
    ...issues.map((issue) => `${issue.path.join('.') || 'environment'}: ${issue.message}`),
  ]
  throw new ConfigError(`invalid configuration:\n  ${lines.join('\n  ')}`)
}

/** Returns the names of the variables that a schema reads: an object, or one that is transformed. */
function variablesOf(schema: z.ZodType): string[] {
  const input = schema instanceof z.ZodPipe ? schema.in : schema
  return input instanceof z.ZodObject ? Object.keys(input.shape) : []
}

/** Schema of a bound or a duration: a positive integer, so that no setting is unbounded. */
export const positive = (byDefault: number) => z.coerce.number().int().positive().max(Number.MAX_SAFE_INTEGER).default(byDefault)

/** Checks of a setting: the bounds that its use can bear, both allowed. */
export const within = (least: number, most: number) =>
  [z.gte(least, `is at least ${least}`), z.lte(most, `is at most ${most}`)] as const

const port = (byDefault: number) => z.coerce.number().int().min(0).max(65_535).default(byDefault)

/** Schema of the name of a claim. Refusals state it in a header (RFC 6750 §3). */
export const claimName = z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'must be ASCII without spaces, quotes and backslashes')

/** Largest leeway for clocks: a larger difference is a defect of a clock. */
const maxLeewaySeconds = 300
/** Largest bound of the life of a token: a revocation is kept for as long. */
const maxTokenDays = 3_650

/** Schemas of the variables that both services read. `ports` are the defaults of PORT and OPS_PORT. */
export const serviceVariables = (ports: { service: number; ops: number }) => ({
  // Not any text: `prod` would allow the development secrets in production.
  NODE_ENV: z
    .enum(['production', 'development', 'test'], 'must be production (also for staging), development or test')
    .default('development'),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace']).default('info'),
  HOST: z.string().default('0.0.0.0'),
  PORT: port(ports.service),
  OPS_HOST: z.string().optional(),
  OPS_PORT: port(ports.ops),
  REDIS_URL: z.string().default('redis://127.0.0.1:6379'),
  CHANNEL_PREFIX: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,32}$/, 'must be 1 to 32 characters of A-Z a-z 0-9 . _ -')
    .optional(),
  MEMBER_CLAIM: claimName.default('sub'),
  CLOCK_LEEWAY_SECONDS: z.coerce.number().int().min(0).max(maxLeewaySeconds).default(5),
  MAX_TOKEN_DAYS: positive(90).refine((days) => days <= maxTokenDays, `is at most ${maxTokenDays}`),
  MEMBER_COOKIE: z
    .string()
    .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'must be a cookie name (RFC 6265)')
    .default('access_token'),
  ALLOWED_ORIGINS: z
    .string({ error: 'is required: comma-separated Origins such as https://app.example.com or https://*.example.com' })
    .transform((list) => list.split(',').map((origin) => origin.trim()))
    .pipe(z.array(z.string().refine(isOriginPattern, 'must be Origins: scheme, host and optional port'))),
})
