import { createTidings } from '../create-tidings.ts'
import type { Inbox, InboxFilter, InboxItem, InboxState, InboxView, InboxViewState } from '../inbox/inbox.ts'
import type { TidingsOptions } from '../options.ts'
import { noPush, type WebPush } from '../push/push.ts'
import type { Tidings } from '../tidings.ts'
import { h, icon, set, setText } from './element.ts'
import { localeOf } from './locale.ts'
import { Panel } from './panel.ts'
import { style } from './style.ts'
import type { ItemAction } from './item-row.ts'
import type { Tab } from './tab-row.ts'
import type { BellTexts } from './text.ts'

export interface TidingsBellEventMap {
  /** A notification was clicked. `preventDefault()` keeps the browser from following its path. */
  'tidings-open': CustomEvent<InboxItem>
  /** A notification has arrived. `preventDefault()` keeps the bell from announcing it to screen readers. */
  'tidings-arrive': CustomEvent<InboxItem>
  /** A notification is to be deleted. `preventDefault()` keeps it. */
  'tidings-remove': CustomEvent<InboxItem>
  /** The panel was opened or closed; `open` says which. */
  'tidings-toggle': CustomEvent<undefined>
}

/** A tab with the notifications of one kind. */
export interface BellKind {
  readonly kind: string
  readonly label: string
}

const maxShownCount = 99
const timeRefreshMs = 60_000
const sheetQuery = '(width < 40rem)'
/** Between the panel and the bell, and between the panel and the edges of the window. */
const gapPixels = 8
const idleInbox: InboxState = { items: [], unreadCount: 0, unseenCount: 0, status: 'idle', hasMore: false }
/** On a server there are no elements: the module can be imported there, and does nothing. */
const Base = globalThis.HTMLElement ?? (Object as unknown as typeof HTMLElement)

/** The element `<tidings-bell>`: a bell with the unread count, and a panel with the inbox. BELL.md has its attributes, events and parts. */
export class TidingsBell extends Base {
  static readonly observedAttributes = ['lang']
  /** The option `push` of the inbox that a bell makes for itself. */
  static push: WebPush | undefined

  /** The name of the bell, as text: one in `aria-label` would have to contain that of the badge. */
  readonly #label = h('span', { class: 'hidden' })
  readonly #count = h('span', { part: 'badge', class: 'badge', 'aria-hidden': 'true' })
  readonly #button = h(
    'button',
    { type: 'button', part: 'bell', class: 'bell', 'aria-haspopup': 'dialog', onclick: () => (this.open = !this.open) },
    this.#label,
    h('slot', { name: 'icon' }, icon('bell')),
    this.#count,
  )
  readonly #announcement = h('p', { class: 'hidden', role: 'status' })
  readonly #panel = new Panel({
    open: (item, event) => this.#openItem(item, event),
    act: (action, item) => this.#act(action, item),
    readAll: (upTo) => void this.#change((inbox) => inbox.markAllRead(upTo, this.#filter?.kind)),
    loadMore: () => void (this.#view ?? this.#tidings?.inbox)?.loadMore(),
    reload: () => void (this.#view ? this.#view.loadMore() : this.#tidings?.inbox.reload()),
    select: (tab) => this.#select(tab),
    reconnect: () => this.#tidings?.start(),
    switchPush: (on) => void (on ? this.#tidings?.enablePush() : this.#tidings?.disablePush()),
    close: () => (this.open = false),
  })
  #tidings: Tidings | undefined
  /** Made by this element, which then starts and stops it. */
  #own: Tidings | undefined
  #texts: Partial<BellTexts> = {}
  #kinds: readonly BellKind[] = []
  #selected = 0
  /** The list of the selected tab, unless it is the whole inbox. */
  #view: InboxView | undefined
  #counts: ReturnType<Inbox['countsByKind']> | undefined
  #seenUpTo = 0
  #leaveTab: (() => void)[] = []
  #locale = localeOf('', {})
  #open = false
  #refused = false
  /** Undo what was done when the element was connected, when it got its `tidings`, and when the panel was opened. */
  #disconnect: (() => void)[] = []
  #detach: (() => void)[] = []
  #whenClosed: (() => void)[] = []

  constructor() {
    super()
    const root = this.attachShadow({ mode: 'open' })
    root.adoptedStyleSheets = [styleSheet()]
    root.append(this.#button, this.#panel.element, this.#announcement)
  }

  /** The inbox that the bell shows. Without one, the bell makes its own from its attributes when the page has been read. */
  get tidings(): Tidings | undefined {
    return this.#tidings
  }
  set tidings(tidings: Tidings | undefined) {
    if (tidings === this.#tidings) return
    if (this.#own && tidings !== this.#own) void this.#own.stop()
    this.#tidings = tidings
    if (this.isConnected) this.#attach()
  }

  /** Texts that replace those of the bell's language. */
  get texts(): Partial<BellTexts> {
    return this.#texts
  }
  set texts(texts: Partial<BellTexts>) {
    this.#texts = texts
    this.#speak()
  }

  /** The kinds of notifications that have tabs of their own. */
  get kinds(): readonly BellKind[] {
    return this.#kinds
  }
  set kinds(kinds: readonly BellKind[]) {
    this.#kinds = kinds
    if (this.#open) this.#select(0)
  }

  /** Whether the panel is open. */
  get open(): boolean {
    return this.#open
  }
  set open(open: boolean) {
    if (open === this.#open || (open && !this.isConnected)) return
    this.#open = open
    this.#refused = false
    if (open) this.#openPanel()
    else this.#closePanel()
    this.#render()
    this.dispatchEvent(new CustomEvent('tidings-toggle'))
  }

  override focus(options?: FocusOptions): void {
    this.#button.focus(options)
  }

  connectedCallback(): void {
    // Set before the element was defined: the value hides the accessor.
    for (const name of ['tidings', 'texts', 'kinds'] as const) {
      if (!Object.hasOwn(this, name)) continue
      const value = this[name]
      Reflect.deleteProperty(this, name)
      Object.assign(this, { [name]: value })
    }
    const observer = new MutationObserver(() => this.#speak())
    observer.observe(document.documentElement, { attributeFilter: ['lang'] })
    this.#disconnect = [() => observer.disconnect(), whenRead(() => this.#startOwn())]
    this.#speak()
    this.#attach()
  }

  disconnectedCallback(): void {
    this.open = false
    for (const undo of [...this.#disconnect, ...this.#detach]) undo()
    this.#detach = []
    void this.#own?.stop()
  }

  attributeChangedCallback(): void {
    this.#speak()
  }

  #startOwn(): void {
    if (this.#tidings !== undefined && this.#tidings !== this.#own) return
    this.#own ??= createTidings({ ...optionsOf(this), ...(TidingsBell.push && { push: TidingsBell.push }) })
    this.tidings = this.#own
    this.#own.start()
  }

  #attach(): void {
    for (const undo of this.#detach) undo()
    const tidings = this.#tidings
    const render = () => this.#render()
    this.#detach = tidings
      ? [
          tidings.inbox.subscribe(render),
          tidings.connection.subscribe(render),
          tidings.onNotification((item) => this.#announce(item)),
        ]
      : []
    if (this.#open) this.#select(0)
    render()
  }

  #announce(item: InboxItem): void {
    if (!this.#emit('tidings-arrive', item) || item.readAt !== null) return
    // A new element, so that the same text is announced again.
    this.#announcement.replaceChildren(h('span', {}, this.#locale.texts.arrived(item.message)))
  }

  #openItem(item: InboxItem, event: MouseEvent): void {
    void this.#change((inbox) => inbox.markRead(item.notificationId))
    // With a modifier key, the browser opens the link in another tab or window.
    if (event.metaKey || event.ctrlKey || event.shiftKey) return
    if (!this.#emit('tidings-open', item)) event.preventDefault()
    this.open = false
  }

  #act(action: ItemAction, item: InboxItem): void {
    const { notificationId } = item
    if (action === 'remove' && !this.#emit('tidings-remove', item)) return
    const methods = {
      read: 'markRead',
      unread: 'markUnread',
      archive: 'archive',
      unarchive: 'unarchive',
      remove: 'remove',
    } as const
    void this.#change((inbox) => inbox[methods[action]](notificationId))
  }

  get #tabs(): readonly Tab[] {
    const { all, unread, archived } = this.#locale.texts
    const kinds = this.#kinds.map(({ kind, label }) => {
      const count = this.#unreadOf(kind)
      return { label: count > 0 ? `${label} ${count}` : label, filter: { kind } }
    })
    return [
      { label: all },
      { label: unread, filter: { unread: true } },
      ...kinds,
      { label: archived, filter: { archived: true } },
    ]
  }

  #unreadOf(kind: string): number {
    return this.#counts?.getSnapshot()[kind]?.unread ?? 0
  }

  get #filter(): InboxFilter | undefined {
    return this.#tabs[this.#selected]?.filter
  }

  /** Shows a tab of the open panel. */
  #select(tab: number): void {
    const leaveTab = this.#leaveTab
    const { inbox } = this.#tidings ?? {}
    const render = () => this.#render()
    this.#selected = tab
    this.#view = this.#filter && inbox?.view(this.#filter)
    this.#counts = this.#kinds.length > 0 ? inbox?.countsByKind(this.#kinds.map(({ kind }) => kind)) : undefined
    this.#leaveTab = [this.#view, this.#counts, this.#tidings?.push].flatMap((store) => (store ? [store.subscribe(render)] : []))
    // After the new ones: counts that stay subscribed to are not read again.
    for (const undo of leaveTab) undo()
    render()
  }

  /** Marks what the panel shows as seen, which quiets the badge. */
  #markSeen(unseenCount: number): void {
    const { newestShownId = 0 } = this.#panel
    if (this.#view || unseenCount === 0 || newestShownId === this.#seenUpTo) return
    this.#seenUpTo = newestShownId
    void this.#tidings?.inbox.markSeen(newestShownId)
  }

  /** Returns whether the event was not canceled. */
  #emit(type: keyof TidingsBellEventMap, detail: InboxItem): boolean {
    return this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true, cancelable: true }))
  }

  async #change(call: (inbox: Inbox) => Promise<boolean>): Promise<void> {
    if (!this.#tidings) return
    this.#refused = false
    this.#refused = !(await call(this.#tidings.inbox))
    this.#render()
  }

  #openPanel(): void {
    const sheet = matchMedia(sheetQuery).matches
    const timer = setInterval(() => this.#speak(), timeRefreshMs)
    this.#place()
    this.#panel.open(sheet)
    this.#select(0)
    this.#whenClosed = [
      () => clearInterval(timer),
      listen(window, 'resize', () => {
        this.#place()
        this.#panel.measure()
      }),
      listen(window, 'scroll', () => this.#place()),
      listen(document, 'pointerdown', (event: PointerEvent) => {
        const [target] = event.composedPath()
        // A press on the backdrop of the sheet has the dialog as its target.
        if (!event.composedPath().includes(this) || (sheet && target === this.#panel.element)) this.open = false
      }),
      listen(document, 'keydown', ({ key }: KeyboardEvent) => {
        if (key === 'Escape') this.open = false
      }),
    ]
  }

  #closePanel(): void {
    const focused = this.#panel.element.matches(':focus-within')
    for (const undo of [...this.#whenClosed, ...this.#leaveTab]) undo()
    this.#leaveTab = []
    this.#panel.close()
    if (focused) this.#button.focus()
  }

  /** Puts the panel below or above the bell, inside the window. */
  #place(): void {
    const { top, bottom, left, right } = this.#button.getBoundingClientRect()
    const { element } = this.#panel
    const below = top + bottom < innerHeight
    element.style.setProperty('--top', below ? `${bottom + gapPixels}px` : 'auto')
    element.style.setProperty('--bottom', below ? 'auto' : `${innerHeight - top + gapPixels}px`)
    element.style.setProperty('--height', `${(below ? innerHeight - bottom : top) - 2 * gapPixels}px`)
    element.style.setProperty('--start', `${left}px`)
    element.style.setProperty('--end', `${document.documentElement.clientWidth - right}px`)
  }

  /** Takes over a change of the language, of the texts, or of the time. */
  #speak(): void {
    const language = (this.closest<HTMLElement>('[lang]') ?? document.documentElement).lang || navigator.language
    this.#locale = localeOf(language, this.#texts)
    this.#render()
  }

  #render(): void {
    const inbox = this.#tidings?.inbox.getSnapshot() ?? idleInbox
    const { unreadCount, unseenCount } = inbox
    setText(this.#label, this.#locale.texts.label(unreadCount))
    set(this.#button, { 'aria-expanded': String(this.#open) })
    setText(this.#count, unreadCount > maxShownCount ? `${maxShownCount}+` : String(unreadCount))
    this.#count.hidden = unreadCount === 0
    set(this.#count, { part: unseenCount > 0 ? 'badge' : 'badge badge-quiet', class: unseenCount > 0 ? 'badge' : 'badge quiet' })
    if (!this.#open) return
    const connection = this.#tidings?.connection.getSnapshot() ?? { status: 'connecting', leader: false }
    const list: InboxViewState = this.#view?.getSnapshot() ?? inbox
    this.#panel.update({
      locale: this.#locale,
      tabs: this.#tabs,
      selected: this.#selected,
      list,
      unreadCount: this.#filter?.kind === undefined ? unreadCount : this.#unreadOf(this.#filter.kind),
      connection,
      push: (this.#tidings?.push ?? noPush).getSnapshot(),
      refused: this.#refused,
    })
    this.#markSeen(unseenCount)
  }
}

function optionsOf(element: Element): TidingsOptions {
  const apiUrl = element.getAttribute('base-url')?.replace(/\/+$/, '')
  const scope = element.getAttribute('scope')
  return {
    ...(apiUrl && { apiUrl, url: `${apiUrl.replace(/^http/, 'ws')}/ws` }),
    ...(scope !== null && { scope }),
  }
}

/** Calls `listener` when the scripts of the page have run: one of them may set `tidings`. Returns a function that ends this. */
function whenRead(listener: () => void): () => void {
  const events = ['DOMContentLoaded', 'load']
  const timer = document.readyState === 'complete' ? setTimeout(listener) : undefined
  // The first may be over: a script may have been added late.
  for (const event of events) addEventListener(event, listener)
  return () => {
    clearTimeout(timer)
    for (const event of events) removeEventListener(event, listener)
  }
}

/** Adds a listener that is called before those of the page. Returns a function that removes it. */
function listen(target: EventTarget, type: string, listener: (event: never) => void): () => void {
  target.addEventListener(type, listener as EventListener, true)
  return () => target.removeEventListener(type, listener as EventListener, true)
}

/** One style sheet for all bells of a page. */
function styleSheet(): CSSStyleSheet {
  sharedStyle ??= new CSSStyleSheet()
  sharedStyle.replaceSync(style)
  return sharedStyle
}
let sharedStyle: CSSStyleSheet | undefined
