import type { InboxItem } from '@tidings/client'
import { useState } from 'react'

export interface HeldArrivals {
  readonly shown: readonly InboxItem[]
  readonly heldCount: number
  /** Shows the held items. */
  readonly show: () => void
}

/** Holds back items that arrive after the first render until `show` is called. Older items, loaded by paging, appear at once. */
export function useHeldArrivals(items: readonly InboxItem[]): HeldArrivals {
  const [newestId, setNewestId] = useState(items[0]?.notificationId)
  const [first] = items
  // The panel was open before there was anything to show.
  if (newestId === undefined && first) setNewestId(first.notificationId)
  const newestIndex = items.findIndex(({ notificationId }) => notificationId === newestId)
  // -1 when the item has gone from the list, as after a reload: nothing is held then.
  const heldCount = Math.max(newestIndex, 0)
  return {
    shown: heldCount > 0 ? items.slice(heldCount) : items,
    heldCount,
    show: () => setNewestId(first?.notificationId),
  }
}
