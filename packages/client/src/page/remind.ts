import type { ConnectionState } from '../connection/connection-state.ts'
import type { Store } from '../store.ts'

const graceMs = 100

/**
 * Wakes the leading tab when its next attempt is due: it may be hidden, and a browser slows down the timers of hidden tabs to one a
 * minute, but not their messages. Returns what ends that.
 */
export function remind({ state, wake }: { readonly state: Store<ConnectionState>; readonly wake: () => void }): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined
  const unsubscribe = state.subscribe(() => {
    clearTimeout(timer)
    const { retryAt, leader } = state.getSnapshot()
    if (retryAt === undefined || leader || document.visibilityState !== 'visible') return
    timer = setTimeout(wake, Math.max(0, retryAt - Date.now()) + graceMs)
  })
  return () => {
    clearTimeout(timer)
    unsubscribe()
  }
}
