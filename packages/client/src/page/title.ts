const countPrefix = /^\(\d+\+?\) /
/** Greater counts are shown as `99+`. */
const maxShownCount = 99

/** Returns the page's title without the unread count. */
export function plainTitle(): string {
  return document.title.replace(countPrefix, '')
}

/**
 * Shows the unread count before the page's title, as in `(3) Orders`, also after the application changes the title. Returns a function
 * that ends this.
 */
export function showInTitle(count: () => number, subscribe: (listener: () => void) => () => void): () => void {
  const show = () => {
    const unread = count()
    const title = unread > 0 ? `(${unread > maxShownCount ? `${maxShownCount}+` : unread}) ${plainTitle()}` : plainTitle()
    if (document.title !== title) document.title = title
  }
  const observer = new MutationObserver(show)
  observer.observe(document.head, { subtree: true, childList: true, characterData: true })
  const unsubscribe = subscribe(show)
  return () => {
    unsubscribe()
    observer.disconnect()
    document.title = plainTitle()
  }
}
