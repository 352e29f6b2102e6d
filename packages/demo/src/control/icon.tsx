import type { ReactNode } from 'react'

const paths = {
  bell: 'M10 3a4.6 4.6 0 0 0-4.6 4.6c0 3.6-1.6 5-1.6 5.9h12.4c0-.9-1.6-2.3-1.6-5.9A4.6 4.6 0 0 0 10 3ZM8.4 16.5a1.8 1.8 0 0 0 3.2 0',
  close: 'm5.5 5.5 9 9m0-9-9 9',
  check: 'm4.5 10.5 3.6 3.6 7.4-8',
  back: 'M16 10H4.5m0 0 4.6-4.6M4.5 10l4.6 4.6',
  person: 'M10 9.8a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM4.4 16.4c.4-2.8 2.6-4.5 5.6-4.5s5.2 1.7 5.6 4.5',
  up: 'M10 15.5v-11m0 0L5.4 9.1M10 4.5l4.6 4.6',
} as const

type IconName = keyof typeof paths

/** Decorative, hidden from screen readers. The element that contains it has a text label. */
export function Icon({ name, size = 20 }: { readonly name: IconName; readonly size?: number }): ReactNode {
  return (
    <svg
      viewBox="0 0 20 20"
      width={size}
      height={size}
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      <path d={paths[name]} />
    </svg>
  )
}

export function Logo({ size = 26 }: { readonly size?: number }): ReactNode {
  return (
    <svg viewBox="0 0 32 32" width={size} height={size} aria-hidden="true" className="logo">
      <rect width="32" height="32" rx="8" />
      <path d="M8 24a16 16 0 0 1 16-16M15 24a9 9 0 0 1 9-9" fill="none" strokeWidth="2.6" strokeLinecap="round" />
      <circle cx="23.4" cy="23.4" r="2.6" />
    </svg>
  )
}
