import { Store } from '../store.ts'

type Fault = 'drop' | 'switch-gateway' | 'go-offline' | 'go-online'

const openSockets = new Set<FaultySocket>()
const otherTabs = new BroadcastChannel('tidings.network-fault')
/** Paths that fail while offline. `/demo` keeps working: it stands for a product's backend, which has its own network. */
const memberPaths = /^\/(notification|task|session|whoami)\b/

/** The close event that a browser fires for a broken connection. */
const abnormalClosure = { code: 1006, wasClean: false }
/** The close event of a gateway that is being replaced (PROTOCOL.md, section 7). */
const serviceRestart = { code: 1012, wasClean: true, reason: 'reconnect after 0 ms' }

/** Increases with each connection, so that a reconnect reaches another gateway where the edge honours `?gateway=`. */
let gatewayNumber = Math.floor(Math.random() * 1_000)

/** Whether this browser simulates a missing network. */
export const simulatedOffline = new Store(false)

/**
 * Replaces `WebSocket` and `fetch` so that the page can inject network faults. The client SDK stays as it is. Must run before
 * the first connection.
 */
export function installNetworkFaults(): void {
  globalThis.WebSocket = FaultySocket
  const { fetch } = globalThis
  globalThis.fetch = (input, init) => {
    const { pathname } = new URL(input instanceof Request ? input.url : input, location.href)
    if (simulatedOffline.get() && memberPaths.test(pathname)) return Promise.reject(new TypeError('Failed to fetch'))
    return fetch(input, init)
  }
  otherTabs.addEventListener('message', ({ data }: MessageEvent<Fault>) => apply(data))
}

/** Injects a fault in every tab, because any of them may hold the shared connection. */
export function injectFault(fault: Fault): void {
  apply(fault)
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- BroadcastChannel has no target origin
  otherTabs.postMessage(fault)
}

function apply(fault: Fault): void {
  if (fault === 'drop') return cutAll(abnormalClosure)
  if (fault === 'switch-gateway') return cutAll(serviceRestart)
  const offline = fault === 'go-offline'
  simulatedOffline.set(offline)
  if (offline) cutAll(abnormalClosure)
  dispatchEvent(new Event(offline ? 'offline' : 'online'))
}

function cutAll(closeEvent: CloseEventInit): void {
  for (const socket of openSockets) socket.cut(closeEvent)
}

class FaultySocket extends WebSocket {
  #cut = false

  constructor(url: string | URL, protocols?: string | string[]) {
    super(withGatewayNumber(url), protocols)
    openSockets.add(this)
    // Registered before any listener of the page, so that no event reaches the page after the cut.
    for (const type of ['message', 'error', 'close']) {
      this.addEventListener(type, (event) => this.#cut && event.stopImmediatePropagation())
    }
    this.addEventListener('close', () => openSockets.delete(this))
    // Closing before the connection is open fires the same event as an unreachable server: 1006.
    if (simulatedOffline.get()) super.close()
  }

  /** Discards what is in flight and fires the given close event. */
  cut(closeEvent: CloseEventInit): void {
    super.close()
    this.dispatchEvent(new CloseEvent('close', closeEvent))
    this.#cut = true
  }
}

function withGatewayNumber(url: string | URL): URL {
  const numbered = new URL(url, location.href)
  numbered.searchParams.set('gateway', String(gatewayNumber++))
  return numbered
}
