import { EscalateOrOff, NotificationKind } from '@tidings/protocol'
import { z } from 'zod'
import type { EscalationDefaults } from './escalation.ts'
import { settingOfWay, type Way, ways } from './way.ts'

const form = 'must be JSON such as {"order":{"push":true},"*":{"webhook":true,"afterSeconds":600}}'
const Defaults = z.record(z.union([z.literal('*'), NotificationKind]), EscalateOrOff, form)

/** Reads ESCALATE: how notifications go out that reach no open tab, by kind. Adds an issue for each fault, which names the kind. */
export function escalationDefaults(
  text: string | undefined,
  configured: ReadonlySet<Way>,
  context: z.core.$RefinementCtx,
): EscalationDefaults {
  if (text === undefined) return {}
  const add = (message: string) => context.addIssue({ code: 'custom', path: ['ESCALATE'], message })
  const result = Defaults.safeParse(parsed(text))
  if (!result.success) {
    for (const issue of result.error.issues) add(issue.path.length === 0 ? form : `${issue.path.join('.')}: ${faultOf(issue)}`)
    return {}
  }
  for (const [kind, escalate] of Object.entries(result.data)) {
    for (const way of ways)
      if (escalate && escalate[way] && !configured.has(way)) add(`${kind}: ${way} needs ${settingOfWay[way]}`)
  }
  return result.data
}

/** Returns the fault of a kind: of a union, that of the option which is wrong inside. */
function faultOf(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_key') return 'must be * or a kind: a name of 1 to 64 characters A-Z a-z 0-9 . _ -'
  const inside = issue.code === 'invalid_union' && issue.errors.flat().find(({ path }) => path.length > 0)
  return inside ? `${inside.path.join('.')}: ${inside.message}` : issue.message
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
