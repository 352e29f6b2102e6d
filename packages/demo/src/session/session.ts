import type { MemberId } from '@tidings/protocol'
import { post } from '../post.ts'
import { Store, useStore } from '../store.ts'

/** Whether a member is signed in. The cookie is HttpOnly, so the page asks the server. */
export type Session =
  | { readonly status: 'opening' }
  | { readonly status: 'unreachable' }
  | { readonly status: 'signed-out'; readonly ended: boolean }
  | { readonly status: 'signed-in'; readonly memberId: MemberId }

const session = new Store<Session>({ status: 'opening' })
/** All tabs share the cookie, so signing in or out in one of them concerns the others. */
const otherTabs = new BroadcastChannel('tidings.session')
otherTabs.addEventListener('message', () => void openSession())

export function useSession(): Session {
  return useStore(session)
}

/** Asks the server for the signed-in member. A failed request does not sign the member out. */
export async function openSession(): Promise<void> {
  if (session.get().status === 'unreachable') session.set({ status: 'opening' })
  try {
    const response = await fetch('/whoami')
    if (response.status === 204) return session.set({ status: 'signed-out', ended: false })
    if (!response.ok) throw new Error(`HTTP ${response.status}`)
    const { memberId } = (await response.json()) as { memberId: MemberId }
    session.set({ status: 'signed-in', memberId })
  } catch {
    if (session.get().status !== 'signed-in') session.set({ status: 'unreachable' })
  }
}

/** @returns whether the sign-in succeeded. */
export async function signIn(memberId: MemberId): Promise<boolean> {
  if ('refusal' in (await post('/login', { memberId }))) return false
  session.set({ status: 'signed-in', memberId })
  notifyOtherTabs()
  return true
}

export async function signOut(): Promise<void> {
  await post('/logout', {})
  session.set({ status: 'signed-out', ended: false })
  notifyOtherTabs()
}

/** Shows the sign-in form because the server no longer accepts the cookie. */
export function endSession(): void {
  session.set({ status: 'signed-out', ended: true })
}

function notifyOtherTabs(): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- BroadcastChannel has no target origin
  otherTabs.postMessage('changed')
}
