import { Cell, useCell } from '../cell.ts'

const path = new Cell(location.pathname + location.search)
addEventListener('popstate', () => path.set(location.pathname + location.search))

/** Where the page is: the `redirectPath` of the notification that was opened last. */
export function usePath(): string {
  return useCell(path)
}

export function openPath(to: string): void {
  history.pushState(null, '', to)
  path.set(to)
}
