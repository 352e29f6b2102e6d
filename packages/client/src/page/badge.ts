/** Puts the unread count on the installed app's icon (https://www.w3.org/TR/badging/), where there is one. Returns what ends that. */
export function showOnIcon(count: () => number, subscribe: (listener: () => void) => () => void): () => void {
  if (!('setAppBadge' in navigator)) return () => {}
  let shown: number | undefined
  const show = () => {
    const unread = count()
    if (unread === shown) return
    shown = unread
    // Rejects where the page may not; there is nothing to be done then.
    navigator.setAppBadge(unread).catch(() => {})
  }
  const unsubscribe = subscribe(show)
  show()
  return unsubscribe
}
