import { Overload } from '../database/group-commit.ts'

const maxWaiting = 100

interface Line {
  last: Promise<unknown>
  waiting: number
}

/** Runs what concerns the same key one at a time, in the order of asking. */
export class InTurn {
  readonly #lines = new Map<number, Line>()

  /** @throws Overload, or what `work` throws. */
  async run<T>(key: number, work: () => Promise<T>): Promise<T> {
    const line = this.#lines.get(key) ?? { last: Promise.resolve(), waiting: 0 }
    if (line.waiting >= maxWaiting) throw new Overload('too many requests of one member are waiting')
    this.#lines.set(key, line)
    line.waiting++
    const mine = line.last.then(work)
    line.last = mine.catch(() => {})
    try {
      return await mine
    } finally {
      if (--line.waiting === 0) this.#lines.delete(key)
    }
  }
}
