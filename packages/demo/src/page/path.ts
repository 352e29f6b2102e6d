import { Store, useStore } from '../store.ts'

const path = new Store(location.pathname + location.search)
addEventListener('popstate', () => path.set(location.pathname + location.search))

/** The path of the page: the `redirectPath` of the notification that was opened last. */
export function usePath(): string {
  return useStore(path)
}

export function openPath(to: string): void {
  history.pushState(null, '', to)
  path.set(to)
}
