import type { ConnectionState } from './connection/connection-state.ts'
import type { Inbox, InboxItem } from './inbox/inbox.ts'
import type { Store } from './store.ts'
import type { TaskHandle, TasksState } from './task/task.ts'

/** What a page holds: one for each page, made by `createTidings`. */
export interface Tidings {
  /** Connects, and goes on doing so. Also what a person's click calls when the state is `unauthorized` or `stopped`. */
  readonly start: () => void
  /** Ends what this tab does. Another tab takes over the connection, if there is one. */
  readonly stop: () => Promise<void>
  readonly connection: Store<ConnectionState>
  readonly inbox: Inbox
  /** Calls `listener` for each notification that arrives from now on, once, in every tab. The returned function ends that. */
  readonly onNotification: (listener: (notification: InboxItem) => void) => () => void
  /** The same handle for the same id. */
  readonly task: (taskId: string) => TaskHandle
  readonly tasks: Store<TasksState>
  /** Asks the person whether the browser may show notifications. Call it from a click: browsers refuse or hide it otherwise. */
  readonly requestPermission: () => Promise<NotificationPermission>
}
