import type { ConnectionState } from '../connection/connection-state.ts'
import type { Store } from '../store.ts'
import { isVisible } from './wake.ts'

/** How much later than its own timer the leading tab is woken. */
const graceMs = 100

/**
 * From a visible tab, wakes the leading tab when its next attempt is due. The leading tab may be hidden: browsers throttle the timers of
 * hidden tabs to one a minute, but not their messages. Returns a function that ends this.
 */
export function wakeLeaderForRetry({
  state,
  wake,
}: {
  readonly state: Store<ConnectionState>
  readonly wake: () => void
}): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined
  const unsubscribe = state.subscribe(() => {
    clearTimeout(timer)
    const { retryAt, leader } = state.getSnapshot()
    if (retryAt === undefined || leader || !isVisible()) return
    timer = setTimeout(wake, Math.max(0, retryAt - Date.now()) + graceMs)
  })
  return () => {
    clearTimeout(timer)
    unsubscribe()
  }
}
