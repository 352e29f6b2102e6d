import type { Question, TabMessage } from './tab-message.ts'

/** Questions that this tab has posted to the others, until they are answered. */
export class TabQuestions {
  readonly #tab: string
  readonly #post: (message: TabMessage) => void
  /** The resolver of each open question, by its id. */
  readonly #pending = new Map<string, (answer: boolean) => void>()
  #count = 0

  constructor(tab: string, post: (message: TabMessage) => void) {
    this.#tab = tab
    this.#post = post
  }

  /** Resolves to the first answer, or to false after `timeoutMs`. */
  ask(question: Question, timeoutMs: number): Promise<boolean> {
    const id = `${this.#tab} ${this.#count++}`
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.answered(id, false), timeoutMs)
      this.#pending.set(id, (answer) => {
        clearTimeout(timer)
        this.#pending.delete(id)
        resolve(answer)
      })
      this.#post({ type: 'ask', question, id })
    })
  }

  /** Ignores further answers to the same question. */
  answered(id: string, answer: boolean): void {
    this.#pending.get(id)?.(answer)
  }
}
