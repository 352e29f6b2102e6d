'use client'

import { createContext, createElement, type ReactNode, useContext, useSyncExternalStore } from 'react'
import type { ConnectionState } from './connection/connection-state.ts'
import type { Inbox, InboxState } from './inbox/inbox.ts'
import type { Store } from './store.ts'
import type { TaskHandle, TaskState, TasksState } from './task/task.ts'
import type { Tidings } from './tidings.ts'

const Context = createContext<Tidings | undefined>(undefined)

/** Provides one {@link Tidings} to the hooks below it. The application starts and stops it. */
export function TidingsProvider({ tidings, children }: { readonly tidings: Tidings; readonly children?: ReactNode }): ReactNode {
  return createElement(Context.Provider, { value: tidings }, children)
}

/** Returns the provided {@link Tidings}. @throws Error when there is no {@link TidingsProvider} above. */
export function useTidings(): Tidings {
  const tidings = useContext(Context)
  if (!tidings) throw new Error('useTidings needs a <TidingsProvider tidings={…}> above it')
  return tidings
}

/** Returns the state of the inbox, and its calls. */
export function useInbox(): InboxState & Pick<Inbox, 'loadMore' | 'markRead' | 'markAllRead' | 'reload'> {
  const { inbox } = useTidings()
  const { loadMore, markRead, markAllRead, reload } = inbox
  return { ...useStore(inbox), loadMore, markRead, markAllRead, reload }
}

/** Returns the state of the connection. */
export function useConnection(): ConnectionState {
  return useStore(useTidings().connection)
}

/** Returns the state of one task, which is followed while the component is mounted. */
export function useTask(taskId: string): TaskState & Pick<TaskHandle, 'cancel'> {
  const task = useTidings().task(taskId)
  return { ...useStore(task), cancel: task.cancel }
}

/** Returns the list of the member's tasks. */
export function useTasks(): TasksState {
  return useStore(useTidings().tasks)
}

function useStore<T>({ subscribe, getSnapshot }: Store<T>): T {
  return useSyncExternalStore(subscribe, getSnapshot, getSnapshot)
}
