import type { InboxItem } from '@tidings/client'
import { useState } from 'react'

interface HeldArrivals {
  readonly shown: readonly InboxItem[]
  readonly heldCount: number
  /** Shows what was held. */
  readonly show: () => void
}

/** The items without those that came after the first look, until they are asked for. Older ones, from paging, are shown at once. */
export function useHeldArrivals(items: readonly InboxItem[]): HeldArrivals {
  const [newestId, setNewestId] = useState(items[0]?.notificationId)
  const from = items.findIndex(({ notificationId }) => notificationId === newestId)
  // The one that was newest is gone: the list is another one.
  const heldCount = Math.max(from, 0)
  return {
    shown: heldCount > 0 ? items.slice(heldCount) : items,
    heldCount,
    show: () => setNewestId(items[0]?.notificationId),
  }
}
