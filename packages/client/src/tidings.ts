import type { ConnectionState } from './connection/connection-state.ts'
import type { AnyData, Inbox, InboxItem } from './inbox/inbox.ts'
import type { MessageStream } from './message/message-stream.ts'
import type { Push } from './push/push.ts'
import type { Store } from './store.ts'
import type { TaskHandle, TasksState } from './task/task.ts'

/** The connection, inbox and tasks of one page, made by `createTidings`. A page needs one. `Data`: the `data` of notifications. */
export interface Tidings<Data extends object = AnyData> {
  /** Connects, and keeps reconnecting. Call it again, for instance after a click, when the state is `unauthorized` or `stopped`. Does nothing on a server. */
  readonly start: () => void
  /** Stops this tab. If it holds the connection, another tab takes it over. */
  readonly stop: () => Promise<void>
  /**
   * Signs the member out in all tabs of the scope: each discards what it shows and stops, with the reason `signed-out`. The server refuses the
   * token from then on. Resolves to whether it does, after 30 seconds at most. Delete the cookie after it.
   */
  readonly signOut: () => Promise<boolean>
  readonly connection: Store<ConnectionState>
  readonly inbox: Inbox<Data>
  /** Calls `listener` once for each notification that arrives from now on, in every tab. Returns a function that unsubscribes. */
  readonly onNotification: (listener: (notification: InboxItem<Data>) => void) => () => void
  /**
   * Returns the messages that backends send to a destination with `POST /message`: `/topic/{name}` or `/member/queue/{name}`.
   *
   * @throws TypeError for a destination of the system, or any other text.
   */
  readonly messages: <Body = unknown>(destination: string) => MessageStream<Body>
  /** Returns the same handle for the same id. @throws TypeError when the id cannot be a task's. */
  readonly task: (taskId: string) => TaskHandle
  readonly tasks: Store<TasksState>
  /** Asks the user whether the browser may show notifications. Call it from a click: browsers refuse or hide the prompt otherwise. */
  readonly requestPermission: () => Promise<NotificationPermission>
  /** Notifications of this browser while no tab is open. */
  readonly push: Push
  /** `push.enable()`. Call it from a click. */
  readonly enablePush: () => Promise<boolean>
  /** `push.disable()`. */
  readonly disablePush: () => Promise<boolean>
}
