import type { TaskEvent } from './task.ts'

/** Beyond this number, waiting events are replaced by one snapshot. */
const maxWaiting = 100

/** The unread events of one iteration over a task. Adjacent appends and progress are merged, so a slow reader holds no more than the text. */
export class TaskReader {
  #waiting: TaskEvent[] = []
  #wake: (() => void) | undefined
  #ended = false

  push(event: TaskEvent, snapshot: () => TaskEvent): void {
    const last = this.#waiting.at(-1)
    if (event.type === 'snapshot') this.#waiting = [event]
    else if (last?.type === 'append' && event.type === 'append')
      this.#waiting.splice(-1, 1, { type: 'append', text: last.text + event.text })
    else if (last?.type === 'progress' && event.type === 'progress') this.#waiting.splice(-1, 1, { ...last, ...event })
    else this.#waiting.push(event)
    if (this.#waiting.length > maxWaiting) this.#waiting = event.type === 'finished' ? [snapshot(), event] : [snapshot()]
    this.#wake?.()
  }

  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  /** Resolves to the next event, or to undefined after `end`. */
  async next(): Promise<TaskEvent | undefined> {
    while (this.#waiting.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return this.#waiting.shift()
  }
}
