import type { TaskMessage } from '@tidings/protocol'
import { broadcastDestination, notificationDestination, readDestination } from '@tidings/protocol/destination'
import { SessionRenewal } from './connection/session-renewal.ts'
import { MemberGate } from './tab/member-gate.ts'
import { SharedConnection } from './tab/shared-connection.ts'
import { taskAnnouncementDestination, taskPrefix } from './tab/task-destination.ts'
import { HttpApi } from './http-api.ts'
import type { InboxItem } from './inbox/inbox.ts'
import { LiveInbox } from './inbox/live-inbox.ts'
import { LiveMessages } from './message/live-messages.ts'
import { isNotification, isReadMessage, isRemoval, isTaskAnnouncement } from './message-check.ts'
import { settingsOf, type TidingsOptions } from './options.ts'
import { showOnIcon } from './page/badge.ts'
import { BrowserNotifications, focusTimeoutMs, requestPermission } from './page/browser-notification.ts'
import { wakeLeaderForRetry } from './page/retry-reminder.ts'
import { showInTitle } from './page/title.ts'
import { isFocused, isVisible, onLeave, onWake } from './page/wake.ts'
import { callAll } from './store.ts'
import { LiveTasks } from './task/live-tasks.ts'
import type { Tidings } from './tidings.ts'

const page = { isFocused, isVisible }

/** Creates the page's {@link Tidings}. Nothing happens before `start()`. Call it in a browser only. */
export function createTidings(options: TidingsOptions = {}): Tidings {
  const settings = settingsOf(options)
  const listeners = new Set<(item: InboxItem) => void>()
  const renewal = new SessionRenewal(settings)
  const api = new HttpApi(settings, () => connection.renew())
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
    },
  })
  const gate = new MemberGate({
    pageMember: () => inbox.memberId,
    connectionMember: () => connection.memberId,
    leading: () => connection.leading,
  })

  const handlers: Readonly<Record<string, (body: object) => unknown>> = {
    [notificationDestination]: (body) => isNotification(body) && inbox.arrived(body, false),
    [broadcastDestination](body) {
      if (isNotification(body)) inbox.arrived(body, true)
      else if (isRemoval(body)) inbox.removed(body)
    },
    [readDestination]: (body) => isReadMessage(body) && inbox.wasRead(body),
    [taskAnnouncementDestination]: (body) => isTaskAnnouncement(body) && tasks.announced(body),
  }
  const connection = new SharedConnection(settings, api, renewal, page, {
    message(destination, body) {
      gate.pass(() => {
        if (signedOut) return
        if (destination.startsWith(taskPrefix)) tasks.message(destination.slice(taskPrefix.length), body as TaskMessage)
        else if (handlers[destination]) handlers[destination](body as object)
        else messages.message(destination, body)
      })
    },
    missed(destination, spreadMs) {
      if (destination === taskAnnouncementDestination) tasks.missed(spreadMs)
      else if (handlers[destination]) inbox.missed(spreadMs)
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
      gate.clear()
      inbox.stop()
      // Also removes the count from the title and the icon.
      inbox.reset()
      tasks.stop()
      tasks.clear()
      messages.stop()
      detach()
    },
    endSession: () => api.endSession(),
  })
  const notifications = new BrowserNotifications(
    settings,
    async () => isFocused() || (await connection.ask('looking', focusTimeoutMs)),
  )

  const unreadCount = () => inbox.getSnapshot().unreadCount
  const attach = (): (() => void)[] => [
    onWake(() => connection.wake()),
    onLeave(
      () => void connection.stop(),
      () => connection.start(),
    ),
    wakeLeaderForRetry({ state: connection.state, wake: () => connection.wake() }),
    connection.state.subscribe(() => {
      if (connection.state.getSnapshot().status !== 'connected') return inbox.disconnected()
      inbox.connected(connection.memberId)
      tasks.connected()
    }),
    settings.updateTitle ? showInTitle(unreadCount, inbox.subscribe) : () => {},
    settings.updateBadge ? showOnIcon(unreadCount, inbox.subscribe) : () => {},
  ]
  /** Undo `attach`; undefined while stopped. */
  let detachers: (() => void)[] | undefined

  /** From a sign-out to the next start. */
  let signedOut = false

  function detach(): void {
    for (const each of detachers ?? []) each()
    detachers = undefined
  }

  return {
    start() {
      signedOut = false
      renewal.paused = false
      detachers ??= attach()
      inbox.start()
      connection.start()
    },
    async stop() {
      detach()
      inbox.stop()
      tasks.stop()
      messages.stop()
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
  }
}
