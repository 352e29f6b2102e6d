/**
 * Shows the unread count on the icon of the installed app (https://www.w3.org/TR/badging/), where the browser supports it. Returns a
 * function that ends this, and removes the count.
 */
export function showOnIcon(count: () => number, subscribe: (listener: () => void) => () => void): () => void {
  if (!('setAppBadge' in navigator)) return () => {}
  let shown: number | undefined
  const show = (unread: number) => {
    if (unread === shown) return
    shown = unread
    // Rejects where the page is not allowed to. The badge is optional, so that is ignored.
    navigator.setAppBadge(unread).catch(() => {})
  }
  const unsubscribe = subscribe(() => show(count()))
  return () => {
    unsubscribe()
    show(0)
  }
}
