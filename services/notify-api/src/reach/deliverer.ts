import type { MemberId } from '@tidings/protocol'
import type { MemberKey } from '../database/member-key.ts'

export interface Escalated {
  readonly notificationId: number
  readonly memberId: MemberId
  readonly memberKey: MemberKey
  readonly message: string
  readonly redirectPath?: string
  readonly data?: Record<string, unknown>
  readonly kind?: string
  readonly count: number
  readonly urgency: 'normal'
  readonly createdAt: Date
  readonly expiresAt?: Date
  readonly collapseKey?: string
  readonly attempts: number
}
export type Delivered =
  | { readonly outcome: 'sent' }
  | { readonly outcome: 'none' }
  | { readonly outcome: 'retry'; readonly afterSeconds: number; readonly reason: string }
  | { readonly outcome: 'dead'; readonly reason: string }
export interface Deliverer {
  readonly maxInFlight: number
  deliver(item: Escalated): Promise<Delivered>
  close(): Promise<void>
}
