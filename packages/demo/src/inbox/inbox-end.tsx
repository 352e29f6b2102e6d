import { useInbox } from '@tidings/client/react'
import { type ReactNode, type RefObject, useEffect, useRef } from 'react'
import { useMessages } from '../preference/preference.ts'

/** Asks for the next page when it comes near. The button is for those who come by keyboard, and after a failure. */
export function InboxEnd({ scroller }: { readonly scroller: RefObject<HTMLElement | null> }): ReactNode {
  const { inbox, tryAgain } = useMessages()
  const { hasMore, status, loadMore } = useInbox()
  const end = useRef<HTMLDivElement>(null)
  const ready = hasMore && status === 'ready'

  useEffect(() => {
    if (!ready || !end.current) return undefined
    const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting && void loadMore(), {
      root: scroller.current,
      rootMargin: '0px 0px 320px',
    })
    observer.observe(end.current)
    return () => observer.disconnect()
    // Anew after each page, as it is not ready while it loads: the end may still be in view then.
  }, [ready, loadMore, scroller])

  return (
    <div className="inbox-end quiet" ref={end}>
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
