import { openLog, runOnce } from '@tidings/chassis'
import { migrationConfigFrom } from './config.ts'
import { migrateWhenReachable } from './database/migration.ts'

// Applies the migrations and exits: the step before a rollout of instances with MIGRATE=off.
await runOnce(async () => {
  const { LOG_LEVEL, MYSQL_URL } = migrationConfigFrom(process.env)
  await migrateWhenReachable(MYSQL_URL, openLog('notify-api', LOG_LEVEL))
})
