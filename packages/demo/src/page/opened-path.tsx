import type { ReactNode } from 'react'
import { useMessages } from '../language/language.ts'
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
      <button type="button" onClick={() => openPath('/')}>
        {page.back}
      </button>
    </section>
  )
}
