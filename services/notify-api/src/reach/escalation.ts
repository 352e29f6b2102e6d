import type { Escalate, EscalateOrOff, Urgency } from '@tidings/protocol'
import { escape } from 'mysql2'
import { Problem } from '../http/problem.ts'
import { settingOfWay, type Way, ways } from './way.ts'

/** What is stored with a notification that goes out when it reaches no open tab. */
export interface Escalation {
  readonly urgency: Urgency
  readonly steps: readonly { readonly way: Way; readonly afterMs: number }[]
}

/** Defaults by kind; `*` is for all other kinds, and for no kind. */
export type EscalationDefaults = Readonly<Record<string, EscalateOrOff>>

export interface EscalationSettings {
  readonly defaults: EscalationDefaults
  /** The ways that are configured. */
  readonly configured: ReadonlySet<Way>
  /** Time for which devices have the chance to receive a notification before it is pushed. */
  readonly pushGraceMs: number
}

/** Decides how a notification goes out when it reaches no open tab. */
export class EscalationPolicy {
  readonly #settings: EscalationSettings
  readonly #defaults: ReadonlyMap<string, Escalation | undefined>
  readonly #otherwise: Escalation | undefined

  constructor(settings: EscalationSettings) {
    this.#settings = settings
    this.#defaults = new Map(Object.entries(settings.defaults).map(([kind, escalate]) => [kind, this.#planned(escalate)]))
    this.#otherwise = this.#defaults.get('*')
  }

  /**
   * Returns what a send asks for, else what the configuration sets for its kind; undefined when the notification does not go out.
   *
   * @throws Problem `invalid` when the send asks for a way that is not configured. `pointer` is the place of `escalate` in its body.
   */
  plan(escalate: EscalateOrOff | undefined, kind: string | undefined, pointer = '#/escalate'): Escalation | undefined {
    if (escalate === undefined) {
      return kind !== undefined && this.#defaults.has(kind) ? this.#defaults.get(kind) : this.#otherwise
    }
    for (const way of ways) {
      if (!escalate || !escalate[way] || this.#settings.configured.has(way)) continue
      const detail = `is not available: ${settingOfWay[way]} is not set`
      throw new Problem('invalid', `${pointer}/${way} ${detail}`, {
        errors: [{ in: 'body', pointer: `${pointer}/${way}`, detail }],
      })
    }
    return this.#planned(escalate)
  }

  #planned(escalate: EscalateOrOff): Escalation | undefined {
    if (!escalate) return undefined
    const { urgency = 'normal' } = escalate
    const steps = ways.filter((way) => escalate[way]).map((way) => ({ way, afterMs: this.#afterMs(way, escalate) }))
    return { urgency, steps }
  }

  #afterMs(way: Way, { webhook, afterSeconds }: Escalate): number {
    // With both, `afterSeconds` is that of the webhook.
    if (way === 'push' && (webhook || afterSeconds === undefined)) return this.#settings.pushGraceMs
    return (afterSeconds ?? 0) * 1_000
  }
}

/** Returns whether a notification is pushed. */
export function isPushed(escalation: Escalation | undefined): boolean {
  return escalation?.steps.some(({ way }) => way === 'push') ?? false
}

/** Returns the rows of one notification for {@link escalationInsert}, as SQL. `notificationId` and `member` are SQL, too. */
export function escalationRows({ urgency, steps }: Escalation, notificationId: string, member: string): string[] {
  return steps.map(
    ({ way, afterMs }) =>
      `(${notificationId},${escape(way)},${member},${escape(urgency)},NOW(3) + INTERVAL ${afterMs * 1_000} MICROSECOND)`,
  )
}

/** Returns the statement that stores rows. It leaves LAST_INSERT_ID() as it is. */
export function escalationInsert(rows: readonly string[]): string {
  return `INSERT INTO escalation (notification_id,way,member_id,urgency,due_at) VALUES ${rows.join(',')}`
}
