import type { InboxCounts } from '@tidings/protocol'
import type { HttpApi } from '../http-api.ts'
import { Cell, type Store } from '../store.ts'
import type { KindCount } from './inbox.ts'

type Counts = Readonly<Record<string, KindCount>>

/** Changes within this time are counted together. */
const quietMs = 300

/** Counts of several kinds, read again after each change while they are subscribed to. */
export class KindCounts implements Store<Counts> {
  readonly kinds: readonly string[]
  readonly #api: Pick<HttpApi, 'get'>
  readonly #onClose: (counts: KindCounts) => void
  readonly #onOpen: (counts: KindCounts) => void
  readonly #state: Cell<Counts>
  #listeners = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  #requests = 0

  constructor(
    kinds: readonly string[],
    api: Pick<HttpApi, 'get'>,
    { onOpen, onClose }: { onOpen: (counts: KindCounts) => void; onClose: (counts: KindCounts) => void },
  ) {
    this.kinds = kinds
    this.#api = api
    this.#onOpen = onOpen
    this.#onClose = onClose
    this.#state = new Cell(zeros(kinds))
  }

  readonly getSnapshot = (): Counts => this.#state.getSnapshot()

  readonly subscribe = (listener: (value: Counts) => void): (() => void) => {
    const unsubscribe = this.#state.subscribe(listener)
    this.#listeners += 1
    if (this.#listeners === 1) this.#onOpen(this)
    let subscribed = true
    return () => {
      if (!subscribed) return
      subscribed = false
      unsubscribe()
      this.#listeners -= 1
      if (this.#listeners > 0) return
      clearTimeout(this.#timer)
      this.#onClose(this)
    }
  }

  /** Counts soon. */
  changed(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#count(), quietMs)
  }

  /** Another member has signed in, or the inbox is stopped. */
  reset(): void {
    clearTimeout(this.#timer)
    this.#requests += 1
    this.#state.set(zeros(this.kinds))
  }

  async #count(): Promise<void> {
    const request = (this.#requests += 1)
    const result = await this.#api.get<InboxCounts>(`/notification/unread-count?kinds=${this.kinds.join(',')}`)
    if (!result.ok || request !== this.#requests) return
    const found = (result.body.kinds ?? []).map(({ kind, unreadCount, unseenCount }) => [
      kind,
      { unread: unreadCount, unseen: unseenCount },
    ])
    this.#state.set({ ...zeros(this.kinds), ...(Object.fromEntries(found) as Counts) })
  }
}

function zeros(kinds: readonly string[]): Counts {
  return Object.fromEntries(kinds.map((kind) => [kind, { unread: 0, unseen: 0 }]))
}
