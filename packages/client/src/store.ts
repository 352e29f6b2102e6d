/**
 * A value that changes over time. A snapshot is immutable, and the same object until the value changes, as React's
 * `useSyncExternalStore` requires. `subscribe` is that of a Svelte store. Both functions work without `this`.
 */
export interface Store<T> {
  readonly getSnapshot: () => T
  /** Calls `listener` with the value, at once and after each change. Returns a function that unsubscribes. */
  readonly subscribe: (listener: (value: T) => void) => () => void
}

/** A {@link Store} whose owner sets the value. */
export class Cell<T> implements Store<T> {
  #value: T
  readonly #listeners = new Set<(value: T) => void>()

  constructor(initial: T) {
    this.#value = initial
  }

  readonly getSnapshot = (): T => this.#value

  readonly subscribe = (listener: (value: T) => void): (() => void) => {
    // A function of its own for each call: the same listener may subscribe twice.
    const entry = (value: T) => listener(value)
    this.#listeners.add(entry)
    callAll([entry], this.#value)
    return () => void this.#listeners.delete(entry)
  }

  set(value: T): void {
    if (Object.is(value, this.#value)) return
    this.#value = value
    callAll(this.#listeners, value)
  }
}

/** Calls all listeners. An error in one of them is reported to the page, as from an event listener, and does not stop the others. */
export function callAll<T extends readonly unknown[]>(listeners: Iterable<(...args: T) => void>, ...args: T): void {
  for (const listener of listeners) {
    try {
      listener(...args)
    } catch (error) {
      reportError(error)
    }
  }
}
