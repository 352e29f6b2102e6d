import type { InboxItem } from '@tidings/client'

/** Marks the notifications that the "Break it" card sends. The card counts them, and no toast is shown for them. */
export const probeData = { probe: true } as const

export function isProbe({ data }: InboxItem): boolean {
  return data?.['probe'] === true
}
