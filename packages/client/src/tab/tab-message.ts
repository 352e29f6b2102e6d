import type { UnreadCount } from '@tidings/protocol'
import type { LinkState } from '../connection/link.ts'
import type { Message, Subscribed } from '../connection/stomp-session.ts'

/** What the tabs of an origin say to one another. */
export type TabMessage =
  // The leading tab to all:
  | ({ readonly type: 'message' } & Message)
  | ({ readonly type: 'subscribed' } & Subscribed)
  | ({ readonly type: 'count' } & UnreadCount)
  | {
      readonly type: 'state'
      /** The leading tab. */
      readonly tab: string
      readonly state: LinkState
      readonly memberId: number | undefined
      /** From where to resume. */
      readonly places: readonly (readonly [destination: string, lastMessageId: string])[]
    }
  // Any tab to the leading one:
  | { readonly type: 'start' }
  | { readonly type: 'wake' }
  | { readonly type: 'reopen' }
  /** `fresh`: it knows nothing of the task yet, and needs a snapshot. */
  | { readonly type: 'watch'; readonly tab: string; readonly taskId: string; readonly fresh: boolean }
  | { readonly type: 'unwatch'; readonly tab: string; readonly taskId: string }
  // Questions and their answers:
  | { readonly type: 'ask'; readonly question: Question; readonly id: string }
  | { readonly type: 'answer'; readonly id: string; readonly answer: boolean }

/** `renew`: to the leading tab, to renew the cookie. `looking`: to all; only who is being looked at answers. */
export type Question = 'renew' | 'looking'
