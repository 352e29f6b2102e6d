import type { MemberId } from '@tidings/protocol'
import type { InboxItem } from '../inbox/inbox.ts'
import type { Settings } from '../options.ts'
import type { PagePush } from '../push/push.ts'

/** How long other tabs have to answer that one of them is focused. Notifications that arrive in this time are shown together. */
export const focusTimeoutMs = 250
/** Of notifications that arrive together, the newest are shown: after a long absence there may be hundreds. */
const maxShown = 3

/** Identifies a shown notification. Those that a service worker shows carry it as `data`. */
export interface Shown {
  readonly notificationId: number
  readonly memberId?: MemberId
}

export interface BrowserNotificationHost {
  isAnyTabFocused(): Promise<boolean>
  /** Whose notifications the page shows. */
  member(): MemberId | undefined
}

/** Shows notifications of the browser. The leading tab does so for all tabs. */
export class BrowserNotifications {
  readonly #settings: Pick<Settings, 'describe' | 'open'>
  readonly #push: PagePush | undefined
  readonly #host: BrowserNotificationHost
  #waiting: InboxItem[] = []
  /** Those that this page shows without a service worker. */
  readonly #shown = new Map<Notification, Shown>()

  constructor(settings: Pick<Settings, 'describe' | 'open'>, push: PagePush | undefined, host: BrowserNotificationHost) {
    this.#settings = settings
    this.#push = push
    this.#host = host
  }

  /** Shows an unread notification, if permission was granted and no tab is focused. */
  async offer(item: InboxItem): Promise<void> {
    if (!isPermitted() || item.readAt !== null || this.#waiting.push(item) > 1) return
    const focused = await this.#host.isAnyTabFocused()
    const items = this.#waiting
    this.#waiting = []
    if (!focused) for (const each of items.slice(-maxShown)) await this.#show(each).catch(() => {})
  }

  /** Closes what is shown of other members, or is `over`; also what a service worker has shown while no tab was open. */
  async close(isOver: (shown: Shown) => boolean | Promise<boolean>): Promise<void> {
    if (!isPermitted()) return
    for (const [notification, shown] of this.#shown) if (await isOver(shown)) notification.close()
    for (const notification of (await this.#push?.shown()) ?? []) {
      const shown = notification.data as Shown | null
      if (shown?.notificationId !== undefined && (await isOver(shown))) notification.close()
    }
  }

  /** Closes what is shown, and shows nothing of what waits. */
  clear(): void {
    this.#waiting = []
    void this.close(() => true)
  }

  async #show(item: InboxItem): Promise<void> {
    const { notificationId, redirectPath } = item
    const { title, ...more } = this.#settings.describe(item)
    const memberId = this.#host.member()
    const shown = { notificationId, ...(memberId !== undefined && { memberId }) }
    // The browser shows one notification for a tag, so tabs that cannot share a connection do not repeat it, nor does a push.
    const options = { ...more, tag: String(notificationId) }
    const show = (register: boolean) => this.#push?.show(title, { ...options, data: { ...shown, redirectPath } }, register)
    if (await show(false)) return
    try {
      const notification = new Notification(title, options)
      this.#shown.set(notification, shown)
      notification.addEventListener('close', () => this.#shown.delete(notification))
      notification.addEventListener('click', () => {
        notification.close()
        window.focus()
        if (redirectPath !== undefined) this.#settings.open(redirectPath)
      })
    } catch {
      // Chrome on Android shows notifications only through a service worker.
      await show(true)
    }
  }
}

function isPermitted(): boolean {
  return 'Notification' in globalThis && Notification.permission === 'granted'
}

/** Asks for permission after a click or a key press. Otherwise returns the current one: browsers penalize pages that ask unprompted. */
export async function requestPermission(): Promise<NotificationPermission> {
  if (!('Notification' in globalThis)) return 'denied'
  const pressed = navigator.userActivation?.isActive ?? true
  return pressed ? Notification.requestPermission() : Notification.permission
}
