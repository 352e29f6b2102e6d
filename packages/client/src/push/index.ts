import { LivePush } from './live-push.ts'
import { NotificationWorker, type NotificationWorkerOptions } from './notification-worker.ts'
import type { WebPush } from './push.ts'

/** Returns the option `push` of `createTidings`: notifications while no tab is open, with the service worker `tidings-worker.js`. */
export function webPush(options: NotificationWorkerOptions = {}): WebPush {
  return (page) => new LivePush(page, new NotificationWorker(options, page.apiUrl))
}

export type { NotificationWorkerOptions } from './notification-worker.ts'
export type { Push, PushState, WebPush } from './push.ts'
