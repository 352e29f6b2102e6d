import { Cell, useCell } from '../cell.ts'

/** Who the page is for. The cookie is HttpOnly, so the server is asked. */
export type Session =
  | { readonly status: 'opening' }
  | { readonly status: 'unreachable' }
  | { readonly status: 'signed-out'; readonly ended: boolean }
  | { readonly status: 'signed-in'; readonly memberId: number }

const session = new Cell<Session>({ status: 'opening' })
/** The cookie is one for all tabs: who signs in or out in one of them does so in all. */
const tabs = new BroadcastChannel('tidings.session')
tabs.addEventListener('message', () => void openSession())

export function useSession(): Session {
  return useCell(session)
}

export async function openSession(): Promise<void> {
  if (session.get().status === 'unreachable') session.set({ status: 'opening' })
  try {
    const response = await fetch('/whoami')
    if (response.status === 401) return session.set({ status: 'signed-out', ended: false })
    if (!response.ok) throw new Error(`HTTP ${response.status}`)
    const { memberId } = (await response.json()) as { memberId: number }
    session.set({ status: 'signed-in', memberId })
  } catch {
    if (session.get().status !== 'signed-in') session.set({ status: 'unreachable' })
  }
}

/** @returns whether the server let the member in. */
export async function signIn(memberId: number): Promise<boolean> {
  try {
    const { ok } = await post('/login', { memberId })
    if (ok) {
      session.set({ status: 'signed-in', memberId })
      tellTabs()
    }
    return ok
  } catch {
    return false
  }
}

export async function signOut(): Promise<void> {
  await post('/logout', {}).catch(() => undefined)
  session.set({ status: 'signed-out', ended: false })
  tellTabs()
}

/** The server no longer takes the cookie. */
export function endSession(): void {
  session.set({ status: 'signed-out', ended: true })
}

function tellTabs(): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a BroadcastChannel has no such thing
  tabs.postMessage('changed')
}

function post(path: string, body: object): Promise<Response> {
  return fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
}
