import type { Question, TabMessage } from './tab-message.ts'

/** What tabs ask one another. */
export class Questions {
  readonly #tab: string
  readonly #post: (message: TabMessage) => void
  /** Who waits for an answer, by the question's id. */
  readonly #asking = new Map<string, (answer: boolean) => void>()
  #asked = 0

  constructor(tab: string, post: (message: TabMessage) => void) {
    this.#tab = tab
    this.#post = post
  }

  /** Asks the other tabs; false when nobody answers in time. */
  ask(question: Question, withinMs: number): Promise<boolean> {
    const id = `${this.#tab} ${this.#asked++}`
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.answered(id, false), withinMs)
      this.#asking.set(id, (answer) => {
        clearTimeout(timer)
        this.#asking.delete(id)
        resolve(answer)
      })
      this.#post({ type: 'ask', question, id })
    })
  }

  /** The first answer holds. */
  answered(id: string, answer: boolean): void {
    this.#asking.get(id)?.(answer)
  }
}
