export { ConfigError, positive, readConfig, serviceVariables } from './config.ts'
export { type Log, openLog } from './log.ts'
export { type Loggable, loggable } from './loggable.ts'
export { buildOps, type Readiness } from './ops.ts'
export { originMatcher } from './origin.ts'
export { authenticateMember, type MemberVerdict, type Principal } from './principal.ts'
export { type ProblemDetails, problemMediaType, problemOf } from './problem.ts'
export { Recurring, type RecurringOptions } from './recurring.ts'
export { type ConnectionOptions, connectRedis, isCluster, opened, type RedisConnection } from './redis.ts'
export { RepeatedFailure } from './repeated-failure.ts'
export { listen, type RunningService, run } from './run.ts'
export {
  type Claims,
  developmentSecrets,
  openTokenVerifier,
  type TokenKey,
  type TokenVerifier,
  tokenKey,
  tokenVariables,
  type Verdict,
} from './token.ts'
export { version } from './version.ts'
