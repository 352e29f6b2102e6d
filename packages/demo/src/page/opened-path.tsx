import type { ReactNode } from 'react'
import { Icon } from '../control/icon.tsx'
import { useMessages } from '../preference/preference.ts'
import { openPath, usePath } from './path.ts'

/** A placeholder for the page of a product that a notification leads to. */
export function OpenedPath(): ReactNode {
  const { page } = useMessages()
  const path = usePath()
  if (path === '/') return null
  return (
    <section className="opened-path" aria-labelledby="opened-path">
      <div>
        <h2 id="opened-path">{page.openedTitle(path)}</h2>
        <p className="muted">{page.opened}</p>
      </div>
      <button type="button" className="button small" onClick={() => openPath('/')}>
        <Icon name="back" size={16} />
        {page.back}
      </button>
    </section>
  )
}
