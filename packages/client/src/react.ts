'use client'

import {
  createContext,
  createElement,
  type ReactNode,
  useContext,
  useEffect,
  useInsertionEffect,
  useMemo,
  useRef,
  useSyncExternalStore,
} from 'react'
import type { ConnectionState } from './connection/connection-state.ts'
import type { AnyData, Inbox, InboxState, InboxViewState, KindCount } from './inbox/inbox.ts'
import type { MessageStreamEvent } from './message/message-stream.ts'
import { Cell, type Store } from './store.ts'
import type { TaskHandle, TaskState, TasksState } from './task/task.ts'
import type { Tidings } from './tidings.ts'

/** `missing`: there is no provider. */
const Context = createContext<Tidings<object> | undefined | 'missing'>('missing')

export interface TidingsProviderProps {
  /** While undefined, the hooks return idle states: for one that is created in an effect, or after the sign-in. */
  readonly tidings: Tidings<object> | undefined
  readonly children?: ReactNode
}

/** Provides one {@link Tidings} to the hooks below it. The application starts and stops it. */
export function TidingsProvider({ tidings, children }: TidingsProviderProps): ReactNode {
  return createElement(Context.Provider, { value: tidings }, children)
}

/** Returns the provided {@link Tidings}. @throws Error when a {@link TidingsProvider} above provides none. */
export function useTidings<Data extends object = AnyData>(): Tidings<Data> {
  const tidings = useProvided()
  if (!tidings) throw new Error('the <TidingsProvider> provides no tidings yet')
  return tidings as Tidings<Data>
}

/** The state of the inbox, and its calls. */
export type InboxValue<Data extends object = AnyData> = InboxState<Data> & InboxCalls

/**
 * Returns the state of the inbox, and its calls; or what `select` returns of the state, and renders only when that is another value.
 */
export function useInbox<Data extends object = AnyData>(): InboxValue<Data>
export function useInbox<Selected, Data extends object = AnyData>(select: (inbox: InboxState<Data>) => Selected): Selected
export function useInbox(select: (inbox: InboxState) => unknown = itself): unknown {
  const inbox = useProvided()?.inbox as Inbox | undefined
  const selected = useStore(inbox, idleInbox, select)
  if (select !== itself) return selected
  const { getSnapshot: _getSnapshot, subscribe: _subscribe, ...calls } = inbox ?? idleInboxCalls
  return { ...(selected as InboxState), ...calls }
}

/** Returns the state of the connection, or what `select` returns of it. */
export function useConnection(): ConnectionState
export function useConnection<Selected>(select: (connection: ConnectionState) => Selected): Selected
export function useConnection(select: (connection: ConnectionState) => unknown = itself): unknown {
  return useStore(useProvided()?.connection, idleConnection, select)
}

/**
 * Returns the state of one task, which is followed while the component is mounted, or what `select` returns of it. While `taskId` is
 * undefined, the status is `unknown`.
 */
export function useTask(taskId: string | undefined): TaskState & Pick<TaskHandle, 'cancel'>
export function useTask<Selected>(taskId: string | undefined, select: (task: TaskState) => Selected): Selected
export function useTask(taskId: string | undefined, select: (task: TaskState) => unknown = itself): unknown {
  const tidings = useProvided()
  const task = taskId === undefined ? undefined : tidings?.task(taskId)
  const idle = useMemo<TaskState>(() => ({ taskId: taskId ?? '', status: 'unknown', text: '', data: [] }), [taskId])
  const selected = useStore(task, idle, select)
  return select === itself ? { ...(selected as TaskState), cancel: task?.cancel ?? refuse } : selected
}

/** Returns the list of the member's tasks, or what `select` returns of it. */
export function useTasks(): TasksState
export function useTasks<Selected>(select: (tasks: TasksState) => Selected): Selected
export function useTasks(select: (tasks: TasksState) => unknown = itself): unknown {
  return useStore(useProvided()?.tasks, idleTasks, select)
}

/**
 * Calls the `listener` of the latest render with each event of a destination of messages, while the component is mounted and
 * `destination` is not undefined. @throws TypeError for any other text than a destination of messages.
 */
export function useMessages<Body = unknown>(
  destination: string | undefined,
  listener: (event: MessageStreamEvent<Body>) => void,
): void {
  const tidings = useProvided()
  const latest = useRef(listener)
  // Before any other effect, and before an event can arrive.
  useInsertionEffect(() => {
    latest.current = listener
  })
  useEffect(() => {
    if (destination === undefined) return undefined
    return tidings?.messages<Body>(destination).subscribe((event) => latest.current(event))
  }, [tidings, destination])
}

type InboxCalls = Omit<Inbox, keyof Store<unknown>>

// What is shown while there is nothing: also on a server, and while the browser hydrates what the server has rendered.
const idleInbox: InboxState = { items: [], unreadCount: 0, unseenCount: 0, status: 'idle', hasMore: false }
const idleView = new Cell<InboxViewState>({ items: [], status: 'idle', hasMore: false })
const idleConnection: ConnectionState = { status: 'stopped', leader: false }
const idleTasks: TasksState = { items: [] }
const refuse = () => Promise.resolve(false)
const idleInboxCalls: InboxCalls & Partial<Store<unknown>> = {
  loadMore: refuse,
  markRead: refuse,
  markUnread: refuse,
  archive: refuse,
  unarchive: refuse,
  remove: refuse,
  markSeen: refuse,
  markAllRead: refuse,
  reload: refuse,
  view: () => ({ getSnapshot: idleView.getSnapshot, subscribe: idleView.subscribe, loadMore: refuse }),
  countsByKind: (kinds) =>
    new Cell(Object.fromEntries(kinds.map((kind): [string, KindCount] => [kind, { unread: 0, unseen: 0 }]))),
}

function useProvided(): Tidings<object> | undefined {
  const tidings = useContext(Context)
  if (tidings === 'missing') throw new Error('useTidings needs a <TidingsProvider tidings={…}> above it')
  return tidings
}

function useStore<Value, Selected>(store: Store<Value> | undefined, idle: Value, select: (value: Value) => Selected): Selected {
  const [getSnapshot, getIdle] = useMemo(() => {
    const [selectOnce, selectIdleOnce] = [rememberLast(select), rememberLast(select)]
    return [() => selectOnce(store ? store.getSnapshot() : idle), () => selectIdleOnce(idle)] as const
  }, [store, idle, select])
  return useSyncExternalStore(store?.subscribe ?? subscribeToNothing, getSnapshot, getIdle)
}

/** Returns a function that calls `select` only for another value than the last one: React wants the same result for the same snapshot. */
function rememberLast<Value, Selected>(select: (value: Value) => Selected): (value: Value) => Selected {
  let last: readonly [Value, Selected] | undefined
  return (value) => {
    if (!last || !Object.is(last[0], value)) last = [value, select(value)]
    return last[1]
  }
}

function subscribeToNothing(): () => void {
  return () => {}
}

function itself<Value>(value: Value): Value {
  return value
}
