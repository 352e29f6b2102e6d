import type { ConnectionState } from './connection/connection-state.ts'
import type { InboxState } from './inbox/inbox.ts'
import type { TidingsOptions } from './options.ts'
import { Cell } from './store.ts'
import type { TaskState, TasksState } from './task/task.ts'
import type { Tidings } from './tidings.ts'

/** Makes the page's {@link Tidings}. Nothing happens before `start()`. */
export function createTidings(_options: TidingsOptions = {}): Tidings {
  const refused = async () => false
  const inbox = new Cell<InboxState>({ items: [], unreadCount: 0, status: 'idle', hasMore: false })
  return {
    start: () => {},
    stop: async () => {},
    connection: new Cell<ConnectionState>({ status: 'stopped', leader: false }),
    inbox: { ...inbox, loadMore: refused, markRead: refused, markAllRead: refused, reload: refused },
    onNotification: () => () => {},
    task: (taskId) => ({
      ...new Cell<TaskState>({ taskId, status: 'unknown', text: '', data: [] }),
      taskId,
      cancel: refused,
      async *[Symbol.asyncIterator]() {},
    }),
    tasks: new Cell<TasksState>({ items: [] }),
    requestPermission: async () => 'default',
  }
}
