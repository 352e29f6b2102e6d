import type { MemberId, Urgency } from '@tidings/protocol'
import type { MemberKey } from '../database/member-key.ts'

/** What is delivered. */
export interface Escalated {
  readonly notificationId: number
  readonly memberId: MemberId
  readonly memberKey: MemberKey
  readonly message: string
  readonly redirectPath?: string
  readonly data?: Record<string, unknown>
  readonly kind?: string
  /** Number of notifications that this one stands for. */
  readonly count: number
  readonly createdAt: Date
  readonly expiresAt?: Date
  readonly collapseKey?: string
  readonly urgency: Urgency
  /** Number of deliveries that were begun, this one included. */
  readonly attempts: number
}

/** Outcome of one delivery. A `reason` names no ids, so that a repeated failure is logged once. */
export type Delivered =
  | { readonly outcome: 'sent' }
  /** There is no place to deliver to: the escalation is deleted. */
  | { readonly outcome: 'none' }
  | { readonly outcome: 'retry'; readonly afterSeconds: number; readonly reason: string }
  /** It is kept for an operator, who may replay it. */
  | { readonly outcome: 'dead'; readonly reason: string }

/** Delivers by one way. */
export interface Deliverer {
  /** Most deliveries at a time. */
  readonly maxInFlight: number
  /** Settles within 8 s and never rejects. An instance that dies meanwhile leads to a repetition. */
  deliver(item: Escalated): Promise<Delivered>
  /** To be called after the last delivery. */
  close(): Promise<void>
}
