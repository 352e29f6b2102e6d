const counted = /^\(\d+\+?\) /

/** The title without the count that was put before it. */
export function plainTitle(): string {
  return document.title.replace(counted, '')
}

/** Puts the unread count before the page's title, as in `(3) Orders`, also when the application changes it. Returns what ends that. */
export function showInTitle(count: () => number, subscribe: (listener: () => void) => () => void): () => void {
  const show = () => {
    const unread = count()
    const title = unread > 0 ? `(${unread > 99 ? '99+' : unread}) ${plainTitle()}` : plainTitle()
    if (document.title !== title) document.title = title
  }
  const observer = new MutationObserver(show)
  observer.observe(document.head, { subtree: true, childList: true, characterData: true })
  const unsubscribe = subscribe(show)
  show()
  return () => {
    unsubscribe()
    observer.disconnect()
    document.title = plainTitle()
  }
}
