import type { ReactNode } from 'react'

export function Logo({ size = 26 }: { readonly size?: number }): ReactNode {
  return <img src="/mark.svg" width={size} height={size} alt="" />
}
