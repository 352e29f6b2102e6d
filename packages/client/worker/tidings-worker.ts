/**
 * The service worker of a product that uses web push: shows what arrives while no tab is open, and opens what is clicked. A script without
 * imports, so that a worker of the product's own can load it with `importScripts`. Its settings are in the query of its URL: `icon` and
 * `badge` of notifications, and `api`, the base URL of notify-api when it is not the page's origin.
 */
declare const self: ServiceWorkerGlobalScope

/** The payload of a push (PROTOCOL.md §4, Web push). */
export interface PushPayload {
  readonly notification: {
    readonly title: string
    readonly body?: string
    readonly lang?: string
    readonly dir?: NotificationDirection
    readonly tag: string
    readonly navigate: string
    readonly data?: NotificationData
  }
}

/** What a shown notification carries. The page shows its own with the same fields, but without `navigate`. */
interface NotificationData {
  readonly notificationId: number
  readonly memberId?: number | string
  readonly redirectPath?: string
  readonly navigate?: string
}

/** How long the pages have to reply that they can open a notification. A frozen page does not reply. */
const replyTimeoutMs = 300

const settings = new URL(self.location.href).searchParams

// A new version of this file counts at once: it controls no page.
self.addEventListener('install', () => void self.skipWaiting())
/** One after the other: Chromium forgets a notification that appears while another call lists what is shown. */
let showing = Promise.resolve()
self.addEventListener('push', (event) => {
  showing = showing.then(() => show(event.data)).catch((error: unknown) => console.warn(error))
  event.waitUntil(showing)
})
self.addEventListener('notificationclick', (event) => event.waitUntil(open(event.notification)))
self.addEventListener('pushsubscriptionchange', (event) =>
  (event as ExtendableEvent).waitUntil(renew(event as SubscriptionChangeEvent)),
)

/** Always shows it: browsers withdraw the subscription of a worker that stays silent. */
async function show(message: PushMessageData | null): Promise<void> {
  const { notification } = parse(message) ?? {}
  if (!notification) return
  const { title, navigate, data, ...options } = notification
  const ownTag = String(data?.notificationId)
  // The page has the id as tag, and may have shown the same.
  if (options.tag !== ownTag) for (const shown of await self.registration.getNotifications({ tag: ownTag })) shown.close()
  const [icon, badge] = [settings.get('icon'), settings.get('badge')]
  await self.registration.showNotification(title, {
    ...options,
    ...(icon !== null && { icon }),
    ...(badge !== null && { badge }),
    data: { ...data, navigate },
  })
  // A page that knows that it was read closes it.
  for (const page of await pages()) page.postMessage({ tidings: 'shown' }, [])
}

/** Opens it in the page that had the focus last and can do so, or in a new window. */
async function open(notification: Notification): Promise<void> {
  notification.close()
  const data = dataOf(notification)
  const replies = await Promise.all((await pages()).map((page) => askToOpen(page, data)))
  const reply = replies.find((each) => each !== undefined)
  if (!reply) return void (await self.clients.openWindow(data?.navigate ?? data?.redirectPath ?? '/'))
  await reply.page.focus().catch(() => {})
  reply.port.postMessage('open', [])
}

/** Resolves when the page replies that it can open the notification, and to undefined when it does not in time. */
function askToOpen(
  page: WindowClient,
  data: NotificationData | undefined,
): Promise<{ readonly page: WindowClient; readonly port: MessagePort } | undefined> {
  const { port1: port, port2 } = new MessageChannel()
  return new Promise((resolve) => {
    setTimeout(() => resolve(undefined), replyTimeoutMs)
    port.addEventListener('message', () => resolve({ page, port }))
    port.start()
    page.postMessage({ ...data, tidings: 'click' }, [port2])
  })
}

/** An event that the types of the browser lack. */
interface SubscriptionChangeEvent extends ExtendableEvent {
  readonly oldSubscription?: PushSubscription | null
  readonly newSubscription?: PushSubscription | null
}

/** Subscribes again, and stores the new subscription in place of the old one. If it fails, the page does so when it starts. */
async function renew({ oldSubscription: old, newSubscription }: SubscriptionChangeEvent): Promise<void> {
  const subscription =
    newSubscription ??
    (await self.registration.pushManager.subscribe({
      userVisibleOnly: true,
      applicationServerKey: old?.options.applicationServerKey ?? (await readKey()),
    }))
  await callApi('/push/subscription', {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...subscription.toJSON(), ...(old && { replaces: old.endpoint }) }),
  })
}

async function readKey(): Promise<string> {
  const response = await callApi('/push/key')
  return ((await response.json()) as { readonly publicKey: string }).publicKey
}

function callApi(path: string, init: RequestInit = {}): Promise<Response> {
  return fetch((settings.get('api') ?? '') + path, { ...init, credentials: 'include' })
}

function pages(): Promise<readonly WindowClient[]> {
  return self.clients.matchAll({ type: 'window', includeUncontrolled: true })
}

function dataOf(notification: Notification): NotificationData | undefined {
  return notification.data as NotificationData | undefined
}

/** Returns undefined for anything that is no push of notify-api. */
function parse(message: PushMessageData | null): Partial<PushPayload> | undefined {
  try {
    return message?.json() as Partial<PushPayload> | undefined
  } catch {
    return undefined
  }
}
