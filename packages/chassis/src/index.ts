export { ConfigError, positive, readConfig, serviceVariables } from './config.ts'
export { type Log, openLog } from './log.ts'
export { buildOps, type Readiness } from './ops.ts'
export { originMatcher } from './origin.ts'
export { authenticateMember, type MemberVerdict, type Principal } from './principal.ts'
export { type ConnectionOptions, connectRedis, isCluster, opened, type RedisConnection } from './redis.ts'
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
