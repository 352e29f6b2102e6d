import type { HistoryPage } from './broker.ts'

/** Returns true when the history held more publications than the page. */
export function hasMore({ publications, last }: HistoryPage): boolean {
  const end = publications.at(-1)?.position
  return end !== undefined && (end.epoch !== last.epoch || end.offset < last.offset)
}
