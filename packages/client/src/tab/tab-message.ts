import type { MemberId, UnreadCount } from '@tidings/protocol'
import type { LinkState } from '../connection/link.ts'
import type { Message, Subscribed } from '../connection/stomp-session.ts'

/**
 * Version of {@link TabMessage}: tabs of different versions, as after a deploy, share neither the channel nor the lock. Increment it when a
 * tab of the previous version would misread a message, or wait for one in vain; not for each release.
 */
export const tabMessageVersion = 1

/** What the tabs of an origin post to one another. */
export type TabMessage =
  // From the leading tab to all:
  | ({ readonly type: 'message' } & Message)
  | ({ readonly type: 'subscribed' } & Subscribed)
  | ({ readonly type: 'count' } & UnreadCount)
  /** Too many tasks are watched: this one waits for another to end. */
  | { readonly type: 'waits'; readonly taskId: string }
  | {
      readonly type: 'state'
      /** Id of the leading tab. */
      readonly tab: string
      readonly state: LinkState
      readonly memberId: MemberId | undefined
      /** Resume points. */
      readonly places: readonly (readonly [destination: string, lastMessageId: string])[]
    }
  /** The tab leads and responds. */
  | { readonly type: 'leads'; readonly tab: string }
  // From any tab to the leading tab:
  /** Does `leader` lead, and respond? Where it does not, the tab that leads posts its state. */
  | { readonly type: 'check'; readonly leader: string | undefined }
  | { readonly type: 'start' }
  | { readonly type: 'wake' }
  | { readonly type: 'reopen' }
  /** `fresh`: the tab knows nothing of the task, and needs a snapshot. */
  | { readonly type: 'watch'; readonly tab: string; readonly taskId: string; readonly fresh: boolean }
  | { readonly type: 'unwatch'; readonly tab: string; readonly taskId: string }
  /** `after`: the last message that the tab received; undefined when it listens from now on. */
  | { readonly type: 'listen'; readonly tab: string; readonly destination: string; readonly after: string | undefined }
  | { readonly type: 'unlisten'; readonly tab: string; readonly destination: string }
  /** The tab has read these notifications of the member. */
  | { readonly type: 'received'; readonly notificationIds: readonly number[] }
  // From any tab to the others:
  | { readonly type: 'ask'; readonly question: Question; readonly id: string }
  | { readonly type: 'answer'; readonly id: string; readonly answer: boolean }

/**
 * `renew`: the leading tab renews the cookie and answers. `looking`: a tab that is visible and focused answers true. `signOut`: all tabs stop;
 * the leading one has the server end the session before, and answers.
 */
export type Question = 'renew' | 'looking' | 'signOut'
