/** Whether the page is visible and has the keyboard focus. */
export function isFocused(): boolean {
  return isVisible() && document.hasFocus()
}

export function isVisible(): boolean {
  return document.visibilityState === 'visible'
}

/** Calls `wake` when the network is back or the page becomes visible. Returns a function that ends this. */
export function onWake(wake: () => void): () => void {
  const visible = () => {
    if (isVisible()) wake()
  }
  addEventListener('online', wake)
  document.addEventListener('visibilitychange', visible)
  return () => {
    removeEventListener('online', wake)
    document.removeEventListener('visibilitychange', visible)
  }
}

/**
 * Calls `away` when the page is left or frozen, and `back` when the browser restores it from the back-forward cache or resumes it. A page
 * that does not run must hold neither a lock nor a connection. Returns a function that ends this.
 */
export function onLeave(away: () => void, back: () => void): () => void {
  const shown = ({ persisted }: PageTransitionEvent) => {
    if (persisted) back()
  }
  addEventListener('pagehide', away)
  addEventListener('pageshow', shown)
  document.addEventListener('freeze', away)
  document.addEventListener('resume', back)
  return () => {
    removeEventListener('pagehide', away)
    removeEventListener('pageshow', shown)
    document.removeEventListener('freeze', away)
    document.removeEventListener('resume', back)
  }
}
