import { EscalateOrOff, NotificationKind } from '@tidings/protocol'
import { z } from 'zod'
import type { EscalationDefaults } from './escalation.ts'
import { settingOfWay, type Way, ways } from './way.ts'

const form = 'must be JSON such as {"order":{"push":true},"*":{"webhook":true,"afterSeconds":600}}'
const Defaults = z.record(z.union([z.literal('*'), NotificationKind], 'is no kind'), EscalateOrOff, form)

/** Schema of ESCALATE: how notifications go out that reach no open tab, by kind. */
export const escalateSetting = z
  .string()
  .default('{}')
  .transform((text, context): EscalationDefaults => {
    const result = Defaults.safeParse(parsed(text))
    if (result.success) return result.data
    for (const { path, message } of result.error.issues) {
      context.addIssue({ code: 'custom', message: path.length === 0 ? message : `${path.join('.')}: ${message}` })
    }
    return z.NEVER
  })

/** Adds an issue for each kind whose notifications would go out by a way that is not configured. */
export function refuseUnconfigured(
  defaults: EscalationDefaults,
  configured: ReadonlySet<Way>,
  context: z.core.$RefinementCtx,
): void {
  for (const [kind, escalate] of Object.entries(defaults)) {
    for (const way of ways) {
      if (!escalate || !escalate[way] || configured.has(way)) continue
      context.addIssue({ code: 'custom', path: ['ESCALATE'], message: `${kind}.${way} needs ${settingOfWay[way]}` })
    }
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
