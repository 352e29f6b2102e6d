import { Cell } from '../cell.ts'

type Order = 'drop' | 'switch' | 'go offline' | 'come back'

const sockets = new Set<CuttableSocket>()
const tabs = new BroadcastChannel('tidings.line')
/** Calls that a device without network could not make. The sender's console goes on: it stands for somebody else. */
const cutPaths = /^\/(notification|task|session|whoami)\b/

/** What the page is told: as of a connection that broke, or as by a gateway that a deploy replaces (PROTOCOL.md §7). */
const broken = { code: 1006, wasClean: false }
const replaced = { code: 1012, wasClean: true, reason: 'reconnect after 0 ms' }

/** Each connection goes to the gateway after that of the one before, where the edge lets a page choose. */
let gateway = Math.floor(Math.random() * 1_000)

/** Whether this browser pretends to have no network. */
export const offline = new Cell(false)

/** A lever between the page and the network, so that a person can break the connection. It knows nothing of what goes over it. */
export function installLine(): void {
  globalThis.WebSocket = CuttableSocket
  const { fetch } = globalThis
  globalThis.fetch = (input, init) => {
    const { pathname } = new URL(input instanceof Request ? input.url : input, location.href)
    if (offline.get() && cutPaths.test(pathname)) return Promise.reject(new TypeError('Failed to fetch'))
    return fetch(input, init)
  }
  tabs.addEventListener('message', ({ data }: MessageEvent<Order>) => obey(data))
}

/** In every tab: any of them may be the one that holds the connection. */
export function give(order: Order): void {
  obey(order)
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a BroadcastChannel has no such thing
  tabs.postMessage(order)
}

function obey(order: Order): void {
  if (order === 'drop' || order === 'switch') return cutAll(order === 'drop' ? broken : replaced)
  offline.set(order === 'go offline')
  if (order === 'go offline') cutAll(broken)
  dispatchEvent(new Event(order === 'go offline' ? 'offline' : 'online'))
}

function cutAll(told: CloseEventInit): void {
  for (const socket of sockets) socket.cut(told)
}

class CuttableSocket extends WebSocket {
  #cut = false

  constructor(url: string | URL, protocols?: string | string[]) {
    super(viaNextGateway(url), protocols)
    sockets.add(this)
    // First in line, so that nobody hears of anything after the cut.
    for (const type of ['message', 'error', 'close']) {
      this.addEventListener(type, (event) => this.#cut && event.stopImmediatePropagation())
    }
    this.addEventListener('close', () => sockets.delete(this))
    // Closed before it is open: the page is told what a browser tells of a server out of reach, 1006.
    if (offline.get()) super.close()
  }

  /** What was under way is lost, and the page hears of it. */
  cut(told: CloseEventInit): void {
    super.close()
    this.dispatchEvent(new CloseEvent('close', told))
    this.#cut = true
  }
}

function viaNextGateway(url: string | URL): URL {
  const via = new URL(url, location.href)
  via.searchParams.set('gateway', String(gateway++))
  return via
}
