import type { InboxItem } from '@tidings/client'

/** Marks the messages of 'Break it': counted there, and not shown as toasts. */
export const probeData = { probe: true } as const

export function isProbe({ data }: InboxItem): boolean {
  return data?.['probe'] === true
}
