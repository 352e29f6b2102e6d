/**
 * A value that changes over time. Snapshots are immutable, and the same object until something changed: it fits React's
 * `useSyncExternalStore`, and Svelte, Vue and signals need three lines (README). Both functions may be taken off it.
 */
export interface Store<T> {
  readonly getSnapshot: () => T
  /** Calls `listener` after each change. The returned function ends that. */
  readonly subscribe: (listener: () => void) => () => void
}

/** A {@link Store} whose owner sets the value. */
export class Cell<T> implements Store<T> {
  #value: T
  readonly #listeners = new Set<() => void>()

  constructor(initial: T) {
    this.#value = initial
  }

  readonly getSnapshot = (): T => this.#value

  readonly subscribe = (listener: () => void): (() => void) => {
    // A wrapper of its own: the same function may subscribe twice.
    const entry = () => listener()
    this.#listeners.add(entry)
    return () => void this.#listeners.delete(entry)
  }

  set(value: T): void {
    if (Object.is(value, this.#value)) return
    this.#value = value
    callAll(this.#listeners)
  }
}

/** Calls them all. What one of them throws is reported to the page, as from an event listener; it stops neither the others nor us. */
export function callAll<T extends readonly unknown[]>(listeners: Iterable<(...args: T) => void>, ...args: T): void {
  for (const listener of listeners) {
    try {
      listener(...args)
    } catch (error) {
      reportError(error)
    }
  }
}
