import type { InboxPage } from '@tidings/protocol'
import type { ApiResult, HttpApi } from '../http-api.ts'
import type { Settings } from '../options.ts'

/** How many pages are read to close a gap. Beyond that, the older items are dropped and can be loaded again. */
const maxCatchUpPages = 10

/** Reads the inbox from notify-api, page by page. */
export class InboxPages {
  readonly #settings: Pick<Settings, 'pageSize'>
  readonly #api: Pick<HttpApi, 'get'>

  constructor(settings: Pick<Settings, 'pageSize'>, api: Pick<HttpApi, 'get'>) {
    this.#settings = settings
    this.#api = api
  }

  /** Reads the newest page, or the one that starts at a cursor. */
  read(before?: number | null): Promise<ApiResult<InboxPage>> {
    return this.#api.get<InboxPage>(`/notification?limit=${this.#settings.pageSize}${before ? `&before=${before}` : ''}`)
  }

  /**
   * Reads the newest page and further ones, until they reach down to the notification `completeUpTo`, and returns them as one page. 0 reads
   * down to the first notification; undefined reads the newest page only.
   */
  async readDownTo(completeUpTo: number | undefined): Promise<ApiResult<InboxPage>> {
    let page = await this.read()
    for (let pages = 1; page.ok && pages < maxCatchUpPages && leavesGap(page.body, completeUpTo); pages += 1) {
      const more = await this.read(page.body.nextCursor)
      page = more.ok ? { ok: true, body: { ...more.body, items: [...page.body.items, ...more.body.items] } } : more
    }
    return page
  }
}

function leavesGap({ items, nextCursor }: InboxPage, completeUpTo: number | undefined): boolean {
  return completeUpTo !== undefined && nextCursor !== null && (items.at(-1)?.notificationId ?? 0) > completeUpTo
}
