/** Looked at, and the keyboard is here. */
export function isLookedAt(): boolean {
  return document.visibilityState === 'visible' && document.hasFocus()
}

/** Calls `wake` when the network is back or the page becomes visible. Returns what ends that. */
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
 * Calls `away` when the page is left, and `back` when it is shown again as it was (back-forward cache): such a page must hold neither
 * lock nor connection meanwhile. Returns what ends that.
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
