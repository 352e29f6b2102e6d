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
import type { EscalationSettings } from './reach/escalation.ts'
import { escalateSetting, refuseUnconfigured } from './reach/escalate-setting.ts'
import { type Way, ways } from './reach/way.ts'
