import type { InboxPage } from '@tidings/protocol'
import type { Answer, HttpApi } from '../http-api.ts'
import type { Settings } from '../options.ts'

/** Pages that are read to find all that was missed. */
const maxCatchUpPages = 10

/** The inbox as notify-api has it, page by page. */
export class InboxPages {
  readonly #settings: Pick<Settings, 'pageSize'>
  readonly #api: Pick<HttpApi, 'get'>

  constructor(settings: Pick<Settings, 'pageSize'>, api: Pick<HttpApi, 'get'>) {
    this.#settings = settings
    this.#api = api
  }

  /** The newest, or those before the cursor. */
  read(before?: number | null): Promise<Answer<InboxPage>> {
    return this.#api.get<InboxPage>(`/notification?limit=${this.#settings.pageSize}${before ? `&before=${before}` : ''}`)
  }

  /** The newest, and further ones until they reach the notification `whole`, as one; 0: to the first. Undefined: the newest only. */
  async readDownTo(whole: number | undefined): Promise<Answer<InboxPage>> {
    let page = await this.read()
    for (let pages = 1; page.ok && pages < maxCatchUpPages && leavesHole(page.body, whole); pages += 1) {
      const more = await this.read(page.body.nextCursor)
      page = more.ok ? { ok: true, body: { ...more.body, items: [...page.body.items, ...more.body.items] } } : more
    }
    return page
  }
}

function leavesHole({ items, nextCursor }: InboxPage, whole: number | undefined): boolean {
  return whole !== undefined && nextCursor !== null && (items.at(-1)?.notificationId ?? 0) > whole
}
