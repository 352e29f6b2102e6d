import type { Store, Tidings } from '@tidings/client'
import { TidingsProvider, useConnection, useInbox, useTask, useTasks } from '@tidings/client/react'
import { type ReactNode, StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { tidings as plain } from './client-page.ts'

/** The page of the React binding's tests: one component for each hook. */
declare global {
  interface Window {
    /** Mounts these components, and unmounts all others. */
    mount(components: Mounted): void
    /** Renders a hook without a provider, and answers what it threw. */
    mountAlone(): Promise<string>
    /** Renders of each component so far. */
    renders: Record<string, number>
    /** Subscriptions of each store that have not ended. */
    subscriptions: Record<string, number>
  }
}

export interface Mounted {
  readonly bell?: boolean
  readonly light?: boolean
  readonly list?: boolean
  /** One component for each, also for the same task. */
  readonly answers?: readonly string[]
}

window.renders = {}
window.subscriptions = {}
const root = createRoot(element('main'))
const tidings: Tidings = {
  ...plain,
  connection: counted('connection', plain.connection),
  inbox: counted('inbox', plain.inbox),
  tasks: counted('tasks', plain.tasks),
}

window.mount = ({ bell = false, light = false, list = false, answers = [] }) =>
  root.render(
    <StrictMode>
      <TidingsProvider tidings={tidings}>
        {bell && <Bell />}
        {light && <Light />}
        {list && <List />}
        {answers.map((taskId, at) => (
          // oxlint-disable-next-line react/no-array-index-key -- the same component is to follow another task
          <Answer key={at} taskId={taskId} />
        ))}
      </TidingsProvider>
    </StrictMode>,
  )
window.mountAlone = () =>
  new Promise((resolve) => {
    createRoot(document.createElement('div'), { onUncaughtError: (error) => resolve(String(error)) }).render(<Light />)
  })

function Bell(): ReactNode {
  const { items, unreadCount, status, hasMore, loadMore, markRead, markAllRead } = useInbox()
  rendered('bell')
  return (
    <section aria-label="Inbox">
      <output>{`${status} ${unreadCount}`}</output>
      {items.map(({ notificationId, message, readAt }) => (
        <button type="button" key={notificationId} onClick={() => void markRead(notificationId)}>
          {`${message} ${readAt === null ? 'unread' : 'read'}`}
        </button>
      ))}
      {hasMore && <input type="button" value="More" onClick={() => void loadMore()} />}
      <input type="button" value="All read" onClick={() => void markAllRead()} />
    </section>
  )
}

function Light(): ReactNode {
  const { status } = useConnection()
  rendered('light')
  return <p role="status">{status}</p>
}

function List(): ReactNode {
  const { items } = useTasks()
  rendered('list')
  return (
    <ol>
      {items.map(({ taskId, title, status }) => (
        <li key={taskId}>{`${title} ${status}`}</li>
      ))}
    </ol>
  )
}

function Answer({ taskId }: { readonly taskId: string }): ReactNode {
  const { text, status, cancel } = useTask(taskId)
  rendered('answer')
  return (
    <article>
      <p>{text}</p>
      <button type="button" onClick={() => void cancel()}>
        {status}
      </button>
    </article>
  )
}

function rendered(component: string): void {
  window.renders[component] = (window.renders[component] ?? 0) + 1
}

function counted<T extends Store<unknown>>(name: string, store: T): T {
  const add = (count: number) => (window.subscriptions[name] = (window.subscriptions[name] ?? 0) + count)
  const subscribe = (listener: () => void) => {
    const unsubscribe = store.subscribe(listener)
    add(1)
    return () => {
      unsubscribe()
      add(-1)
    }
  }
  return { ...store, subscribe }
}

function element(selector: string): Element {
  const found = document.querySelector(selector)
  if (!found) throw new Error(`no ${selector}`)
  return found
}
