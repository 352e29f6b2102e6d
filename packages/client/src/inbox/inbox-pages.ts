import type { InboxPage } from '@tidings/protocol'
import type { ApiResult, HttpApi } from '../http-api.ts'
import type { Settings } from '../options.ts'
import type { InboxFilter } from './inbox.ts'

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
  read(before?: number | null, filter: InboxFilter = {}): Promise<ApiResult<InboxPage>> {
    const query = Object.entries(filter).map(([name, value]) => `&${name}=${value}`)
    return this.#api.get<InboxPage>(
      `/notification?limit=${this.#settings.pageSize}${before ? `&before=${before}` : ''}${query.join('')}`,
    )
  }

  /** Reads the page that consists of this notification; of an older one, or none, when it is not stored. */
  readOne(notificationId: number, archived: boolean): Promise<ApiResult<InboxPage>> {
    return this.#api.get<InboxPage>(`/notification?limit=1&before=${notificationId + 1}${archived ? '&archived=true' : ''}`)
  }

  /**
   * Reads the newest page and further ones, until they reach down to the notification `completeUpTo`, and returns them as one page. 0 reads
   * down to the first notification; undefined reads the newest page only.
   */
  async readDownTo(completeUpTo: number | undefined): Promise<ApiResult<InboxPage>> {
    let page = await this.read()
    for (let pages = 1; page.ok && pages < maxCatchUpPages && leavesGap(page.body, completeUpTo); pages += 1) {
      const more = await this.read(page.body.nextCursor)
      // The revision of the first page: what has changed since then may be missing from it.
      page = more.ok
        ? { ok: true, body: { ...page.body, nextCursor: more.body.nextCursor, items: [...page.body.items, ...more.body.items] } }
        : more
    }
    return page
  }
}

function leavesGap({ items, nextCursor }: InboxPage, completeUpTo: number | undefined): boolean {
  return completeUpTo !== undefined && nextCursor !== null && (items.at(-1)?.notificationId ?? 0) > completeUpTo
}
