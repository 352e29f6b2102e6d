import type { InboxItem } from '../inbox/inbox.ts'
import type { Settings } from '../options.ts'

/** How long other tabs have to answer that one of them is focused. Notifications that arrive in this time are shown together. */
export const focusTimeoutMs = 250
/** Of notifications that arrive together, the newest are shown: after a long absence there may be hundreds. */
const maxShown = 3

/** Shows notifications of the browser. The leading tab does so for all tabs. */
export class BrowserNotifications {
  readonly #settings: Pick<Settings, 'describe' | 'open'>
  readonly #isAnyTabFocused: () => Promise<boolean>
  #waiting: InboxItem[] = []
  readonly #shown = new Set<Notification>()

  constructor(settings: Pick<Settings, 'describe' | 'open'>, isAnyTabFocused: () => Promise<boolean>) {
    this.#settings = settings
    this.#isAnyTabFocused = isAnyTabFocused
  }

  /** Shows an unread notification, if permission was granted and no tab is focused. */
  async offer(item: InboxItem): Promise<void> {
    if (!('Notification' in globalThis) || Notification.permission !== 'granted') return
    if (item.readAt !== null || this.#waiting.push(item) > 1) return
    const focused = await this.#isAnyTabFocused()
    const items = this.#waiting
    this.#waiting = []
    if (!focused) for (const each of items.slice(-maxShown)) this.#show(each)
  }

  /** Closes what is shown, and shows nothing of what waits. */
  clear(): void {
    this.#waiting = []
    for (const notification of this.#shown) notification.close()
    this.#shown.clear()
  }

  #show(item: InboxItem): void {
    const { title, ...more } = this.#settings.describe(item)
    try {
      // The browser shows one notification for a tag, so tabs that cannot share a connection do not repeat it.
      const notification = new Notification(title, { ...more, tag: String(item.notificationId) })
      this.#shown.add(notification)
      notification.addEventListener('close', () => this.#shown.delete(notification))
      notification.addEventListener('click', () => {
        notification.close()
        window.focus()
        if (item.redirectPath !== undefined) this.#settings.open(item.redirectPath)
      })
    } catch {
      // Chrome on Android shows notifications only through a service worker, which belongs to the application.
    }
  }
}

/** Asks for permission after a click or a key press. Otherwise returns the current one: browsers penalize pages that ask unprompted. */
export async function requestPermission(): Promise<NotificationPermission> {
  if (!('Notification' in globalThis)) return 'denied'
  const pressed = navigator.userActivation?.isActive ?? true
  return pressed ? Notification.requestPermission() : Notification.permission
}
