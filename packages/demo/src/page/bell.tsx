import '@tidings/client/bell'
import type { InboxItem } from '@tidings/client'
import { useTidings } from '@tidings/client/react'
import { createElement, type ReactNode } from 'react'
import { PermissionRow } from '../connection/permission-row.tsx'

interface Props {
  readonly onToggle: (open: boolean) => void
  readonly onOpenPath: (path: string) => void
}

/** The bell of the client, which shows the inbox of the page. */
export function Bell({ onToggle, onOpenPath }: Props): ReactNode {
  const tidings = useTidings()
  const open = (event: CustomEvent<InboxItem>) => {
    event.preventDefault()
    if (event.detail.redirectPath !== undefined) onOpenPath(event.detail.redirectPath)
  }
  return createElement(
    'tidings-bell',
    {
      tidings,
      'ontidings-open': open,
      // The toasts announce them.
      'ontidings-arrive': (event: Event) => event.preventDefault(),
      'ontidings-toggle': ({ currentTarget }: { readonly currentTarget: { readonly open: boolean } }) =>
        onToggle(currentTarget.open),
    },
    <div slot="footer">
      <PermissionRow />
    </div>,
  )
}
