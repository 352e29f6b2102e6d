import { useInbox } from '@tidings/client/react'
import { type ReactNode, type RefObject, useEffect, useRef } from 'react'
import { useMessages } from '../preference/preference.ts'

const preloadDistance = '320px'

/** Loads the next page when the end of the list comes near. The button serves keyboard users, and retries after a failure. */
export function InboxEnd({ scroller }: { readonly scroller: RefObject<HTMLElement | null> }): ReactNode {
  const { inbox, tryAgain } = useMessages()
  const { hasMore, status, loadMore } = useInbox()
  const end = useRef<HTMLDivElement>(null)
  const ready = hasMore && status === 'ready'

  useEffect(() => {
    if (!ready || !end.current) return undefined
    const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting && void loadMore(), {
      root: scroller.current,
      rootMargin: `0px 0px ${preloadDistance}`,
    })
    observer.observe(end.current)
    return () => observer.disconnect()
    // `ready` is false while a page loads, so a new observer starts after each page: the end may still be in view then.
  }, [ready, loadMore, scroller])

  return (
    <div className="inbox-end muted" ref={end}>
      {hasMore ? (
        <button type="button" className="button plain small" onClick={() => void loadMore()}>
          {status === 'loading' ? inbox.loadingMore : status === 'error' ? tryAgain : inbox.loadMore}
        </button>
      ) : (
        <p>{inbox.end}</p>
      )}
    </div>
  )
}
