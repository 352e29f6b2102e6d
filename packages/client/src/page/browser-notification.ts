import type { InboxItem } from '../inbox/inbox.ts'
import type { Settings } from '../options.ts'

/** Other tabs have this long to say that they are being looked at; what arrives meanwhile is shown together. */
export const lookingMs = 250
/** After a long absence only the newest are shown. */
const maxShown = 3

/** Notifications of the browser, for all tabs by the leading one. */
export class BrowserNotifications {
  readonly #settings: Pick<Settings, 'describe' | 'open'>
  readonly #isAnyTabLookedAt: () => Promise<boolean>
  #waiting: InboxItem[] = []

  constructor(settings: Pick<Settings, 'describe' | 'open'>, isAnyTabLookedAt: () => Promise<boolean>) {
    this.#settings = settings
    this.#isAnyTabLookedAt = isAnyTabLookedAt
  }

  async offer(item: InboxItem): Promise<void> {
    if (!('Notification' in globalThis) || Notification.permission !== 'granted') return
    if (item.readAt !== null || this.#waiting.push(item) > 1) return
    const seen = await this.#isAnyTabLookedAt()
    const items = this.#waiting
    this.#waiting = []
    if (!seen) for (const each of items.slice(-maxShown)) this.#show(each)
  }

  #show(item: InboxItem): void {
    const { title, ...more } = this.#settings.describe(item)
    try {
      // One for a tag: where tabs cannot share a connection, the browser itself shows it once.
      const notification = new Notification(title, { ...more, tag: String(item.notificationId) })
      notification.addEventListener('click', () => {
        notification.close()
        window.focus()
        this.#settings.open(item.redirectPath)
      })
    } catch {
      // Chrome on Android shows notifications only through a service worker, which is the application's own.
    }
  }
}

/** Asks the person, if a click or a key has just been pressed: browsers punish who asks out of the blue. */
export async function requestPermission(): Promise<NotificationPermission> {
  if (!('Notification' in globalThis)) return 'denied'
  const pressed = navigator.userActivation?.isActive ?? true
  return pressed ? Notification.requestPermission() : Notification.permission
}
