import { createContext, createElement, type ReactNode, useContext, useSyncExternalStore } from 'react'
import type { ConnectionState } from './connection/connection-state.ts'
import type { Inbox, InboxState } from './inbox/inbox.ts'
import type { Store } from './store.ts'
import type { TaskHandle, TaskState, TasksState } from './task/task.ts'
import type { Tidings } from './tidings.ts'

const Context = createContext<Tidings | undefined>(undefined)

/** Hands one {@link Tidings} to all hooks below. Who made it starts and stops it. */
export function TidingsProvider({ tidings, children }: { readonly tidings: Tidings; readonly children?: ReactNode }): ReactNode {
  return createElement(Context.Provider, { value: tidings }, children)
}

/** @throws Error when there is no {@link TidingsProvider} above. */
export function useTidings(): Tidings {
  const tidings = useContext(Context)
  if (!tidings) throw new Error('useTidings needs a <TidingsProvider tidings={…}> above it')
  return tidings
}

/** What the inbox holds, and its calls. */
export function useInbox(): InboxState & Pick<Inbox, 'loadMore' | 'markRead' | 'markAllRead' | 'reload'> {
  const { inbox } = useTidings()
  const { loadMore, markRead, markAllRead, reload } = inbox
  return { ...useStore(inbox), loadMore, markRead, markAllRead, reload }
}

export function useConnection(): ConnectionState {
  return useStore(useTidings().connection)
}

/** Follows one task while the component is mounted. */
export function useTask(taskId: string): TaskState & Pick<TaskHandle, 'cancel'> {
  const task = useTidings().task(taskId)
  return { ...useStore(task), cancel: task.cancel }
}

/** The member's tasks as they were announced. */
export function useTasks(): TasksState {
  return useStore(useTidings().tasks)
}

function useStore<T>({ subscribe, getSnapshot }: Store<T>): T {
  return useSyncExternalStore(subscribe, getSnapshot, getSnapshot)
}
