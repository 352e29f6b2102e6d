import { Cell, useCell } from '../cell.ts'

/** Who the page is for. The cookie is HttpOnly, so the server is asked. */
export type Session =
  | { readonly status: 'opening' }
  | { readonly status: 'unreachable' }
  | { readonly status: 'signed-out'; readonly ended: boolean }
  | { readonly status: 'signed-in'; readonly memberId: number }

const session = new Cell<Session>({ status: 'opening' })

export function useSession(): Session {
  return useCell(session)
}

export async function openSession(): Promise<void> {
  session.set({ status: 'opening' })
  try {
    const response = await fetch('/whoami')
    if (response.status === 401) return session.set({ status: 'signed-out', ended: false })
    if (!response.ok) return session.set({ status: 'unreachable' })
    const { memberId } = (await response.json()) as { memberId: number }
    session.set({ status: 'signed-in', memberId })
  } catch {
    session.set({ status: 'unreachable' })
  }
}

/** @returns whether the server let the member in. */
export async function signIn(memberId: number): Promise<boolean> {
  try {
    const { ok } = await post('/login', { memberId })
    if (ok) session.set({ status: 'signed-in', memberId })
    return ok
  } catch {
    return false
  }
}

export async function signOut(): Promise<void> {
  await post('/logout', {}).catch(() => undefined)
  session.set({ status: 'signed-out', ended: false })
}

/** The server no longer takes the cookie. */
export function endSession(): void {
  session.set({ status: 'signed-out', ended: true })
}

function post(path: string, body: object): Promise<Response> {
  return fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
}
