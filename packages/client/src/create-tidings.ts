import { broadcastDestination, notificationDestination, readDestination } from '@tidings/protocol/destination'
import { SessionRenewal } from './connection/session-renewal.ts'
import { MemberGate } from './tab/member-gate.ts'
import { SharedConnection } from './tab/shared-connection.ts'
import { taskAnnouncementDestination, taskPrefix } from './tab/task-destination.ts'
import { Diagnostics } from './diagnostics.ts'
import { HttpApi } from './http-api.ts'
import type { AnyData, InboxItem } from './inbox/inbox.ts'
import { LiveInbox } from './inbox/live-inbox.ts'
import { LiveMessages } from './message/live-messages.ts'
import { handler, isNotification, isReadMessage, isRemoval, isTaskAnnouncement, isTaskMessage } from './message-check.ts'
import { settingsOf, type TidingsOptions } from './options.ts'
import { showOnIcon } from './page/badge.ts'
import { BrowserNotifications, focusTimeoutMs, requestPermission } from './page/browser-notification.ts'
import { wakeLeaderForRetry } from './page/retry-reminder.ts'
import { onWorkerBlocked, workerBlocked } from './page/worker-blocked.ts'
import { noPush } from './push/push.ts'
import { showInTitle } from './page/title.ts'
import { isFocused, isVisible, onLeave, onWake } from './page/wake.ts'
import { callAll } from './store.ts'
import { LiveTasks } from './task/live-tasks.ts'
import type { Tidings } from './tidings.ts'

const page = { isFocused, isVisible }

/**
 * How long nothing must change before what is shown and over is closed. A push must be seen to have been shown, and Chromium forgets a
 * notification that appears while others are listed.
 */
const closeAfterMs = 500

/** Creates the page's {@link Tidings}. Nothing happens before `start()`, so that a module may call it, also while a server renders the page. */
export function createTidings<Data extends object = AnyData>(options: TidingsOptions<Data> = {}): Tidings<Data> {
  // Within the client, `data` is any object.
  return createUntyped(options as TidingsOptions) as unknown as Tidings<Data>
}

function createUntyped(options: TidingsOptions): Tidings {
  const settings = settingsOf(options)
  const diagnostics = new Diagnostics(settings)
  const listeners = new Set<(item: InboxItem) => void>()
  const renewal = new SessionRenewal(settings)
  const api = new HttpApi(settings, diagnostics, () => connection.renew())
  const tasks = new LiveTasks(
    { watch: (taskId, fresh) => connection.watch(taskId, fresh), unwatch: (taskId) => connection.unwatch(taskId) },
    api,
    settings,
  )
  const messages = new LiveMessages({
    listen: (destination) => connection.listen(destination),
    unlisten: (destination) => connection.unlisten(destination),
  })
  const inbox = new LiveInbox(settings, api, {
    announce(item) {
      if (settings.browserNotifications && connection.leading) void notifications.offer(item)
      callAll(listeners, item)
    },
    get leading() {
      return connection.leading
    },
    shareCount: (count) => connection.shareCount(count),
    // If they differ, another member has signed in since the connection was opened: the cookie of the HTTP API is newer.
    memberKnown(memberId) {
      if (connection.memberId !== undefined && connection.memberId !== memberId) connection.reopen()
      gate.open()
      void push?.resume(memberId)
      closeShown(true)
    },
    received(notificationIds, live) {
      if (!live || connection.leading) connection.received(notificationIds)
    },
  })
  const push = settings.push?.({
    api,
    apiUrl: settings.apiUrl,
    open: settings.open,
    failed: (error) => diagnostics.failed(error),
    member: () => inbox.memberId,
    shown: () => closeShown(false),
  })
  const gate = new MemberGate({
    pageMember: () => inbox.memberId,
    connectionMember: () => connection.memberId,
    leading: () => connection.leading,
  })

  const broadcast = handler(isNotification, (body) => inbox.arrived(body, true))
  const removal = handler(isRemoval, (body) => inbox.removed(body))
  const handlers: Readonly<Record<string, (body: unknown) => boolean>> = {
    [notificationDestination]: handler(isNotification, (body) => inbox.arrived(body, false)),
    [broadcastDestination]: (body) => broadcast(body) || removal(body),
    [readDestination]: handler(isReadMessage, (body) => inbox.wasRead(body)),
    [taskAnnouncementDestination]: handler(isTaskAnnouncement, (body) => tasks.announced(body)),
  }
  const handlerOf = (destination: string): ((body: unknown) => boolean) | undefined =>
    destination.startsWith(taskPrefix)
      ? handler(isTaskMessage, (body) => tasks.message(destination.slice(taskPrefix.length), body))
      : handlers[destination]
  const deps = { settings, api, renewal, page, log: diagnostics.log }
  const connection = new SharedConnection(deps, {
    message(destination, body) {
      gate.pass(() => {
        if (signedOut) return undefined
        const handle = handlerOf(destination)
        if (!handle) return body === undefined ? undefined : messages.message(destination, body)
        if (handle(body)) return undefined
        const message = `another program has published something unknown for ${destination}; it and all others like it are dropped`
        return diagnostics.warn({ code: 'foreign-message', message })
      })
    },
    missed(destination, spreadMs) {
      if (destination === taskAnnouncementDestination) tasks.missed(spreadMs)
      else if (handlers[destination]) inbox.missed(spreadMs, { states: destination !== notificationDestination })
      else messages.missed(destination, spreadMs)
    },
    refused: (destination) => messages.refused(destination),
    counted: (count) => gate.pass(() => inbox.counted(count)),
    taskWaits: (taskId) => tasks.waits(taskId),
    memberChanged() {
      gate.clear()
      inbox.reset()
      tasks.reset()
      messages.reset()
    },
    signedOut() {
      signedOut = true
      renewal.paused = true
      halt()
      inbox.reset()
      notifications.clear()
    },
    async endSession() {
      // Sent before the token is refused.
      const unsubscribed = push?.forget()
      const ended = await api.endSession()
      await unsubscribed
      return ended
    },
  })
  const notifications = new BrowserNotifications(settings, push, {
    isAnyTabFocused: async () => isFocused() || (await connection.ask('looking', focusTimeoutMs)),
    member: () => inbox.memberId,
  })
  /** Closes what is shown and over, soon. `ask`: also what only the server knows to be over. */
  const closeShown = debounced(
    closeAfterMs,
    (ask) =>
      void notifications.close(async ({ notificationId, memberId }) => {
        const { memberId: own } = inbox
        return own !== undefined && ((memberId !== undefined && memberId !== own) || (await inbox.isOver(notificationId, ask)))
      }),
  )

  const unreadCount = () => inbox.getSnapshot().unreadCount
  const attach = (): (() => void)[] => [
    onWake(() => {
      connection.wake()
      closeShown(true)
    }),
    inbox.subscribe(() => closeShown(false)),
    push?.attach() ?? (() => {}),
    onLeave(
      () => void connection.stop(),
      () => connection.start(),
    ),
    onWorkerBlocked(() => {
      diagnostics.warn({ code: 'worker-blocked', message: workerBlocked })
      connection.beatWithTimer()
    }),
    wakeLeaderForRetry({ state: connection.state, wake: () => connection.wake() }),
    connection.state.subscribe(() => {
      if (connection.state.getSnapshot().status !== 'connected') return inbox.disconnected()
      inbox.connected(connection.memberId)
      if (connection.leading) connection.received(inbox.unreceivedIds)
      tasks.connected()
    }),
    settings.updateTitle ? showInTitle(unreadCount, inbox.subscribe) : () => {},
    settings.updateBadge ? showOnIcon(unreadCount, inbox.subscribe) : () => {},
  ]
  /** Undo `attach`; undefined while stopped. */
  let detachers: (() => void)[] | undefined

  /** From a sign-out to the next start. */
  let signedOut = false

  /** Another member may sign in before the next start: nothing of this one stays visible. */
  function halt(): void {
    for (const detach of detachers ?? []) detach()
    detachers = undefined
    gate.clear()
    inbox.stop()
    tasks.stop()
    tasks.clear()
    messages.stop()
  }

  return {
    start() {
      if (!('document' in globalThis)) return
      signedOut = false
      renewal.paused = false
      detachers ??= attach()
      inbox.start()
      connection.start()
    },
    async stop() {
      halt()
      await connection.stop()
    },
    signOut: () => connection.signOut(),
    connection: connection.state,
    inbox,
    onNotification(listener) {
      // A function of its own for each call: the same listener may be added twice.
      const entry = (item: InboxItem) => listener(item)
      listeners.add(entry)
      return () => void listeners.delete(entry)
    },
    messages: messages.messages,
    task: tasks.task,
    tasks,
    requestPermission,
    push: push ?? noPush,
    enablePush: (push ?? noPush).enable,
    disablePush: (push ?? noPush).disable,
  }
}

/** Returns a function that calls `work` once there was no call for `quietMs`; with true if one of the calls was with true. */
function debounced(quietMs: number, work: (flag: boolean) => void): (flag: boolean) => void {
  let timer: ReturnType<typeof setTimeout> | undefined
  let any = false
  return (flag) => {
    any ||= flag
    clearTimeout(timer)
    timer = setTimeout(() => {
      work(any)
      any = false
    }, quietMs)
  }
}
