/** Whether the page is visible and has the keyboard focus. */
export function isFocused(): boolean {
  return document.visibilityState === 'visible' && document.hasFocus()
}

/** Calls `wake` when the network is back or the page becomes visible. Returns a function that ends this. */
export function onWake(wake: () => void): () => void {
  const visible = () => {
    if (document.visibilityState === 'visible') wake()
  }
  addEventListener('online', wake)
  document.addEventListener('visibilitychange', visible)
  return () => {
    removeEventListener('online', wake)
    document.removeEventListener('visibilitychange', visible)
  }
}

/**
 * Calls `away` when the page is left, and `back` when the browser restores it from the back-forward cache. A page in that cache must hold
 * neither a lock nor a connection. Returns a function that ends this.
 */
export function onLeave(away: () => void, back: () => void): () => void {
  const shown = ({ persisted }: PageTransitionEvent) => {
    if (persisted) back()
  }
  addEventListener('pagehide', away)
  addEventListener('pageshow', shown)
  return () => {
    removeEventListener('pagehide', away)
    removeEventListener('pageshow', shown)
  }
}
