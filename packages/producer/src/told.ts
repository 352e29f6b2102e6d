/** What a producer tells besides text. */
export type Telling =
  | { readonly type: 'progress'; readonly percent?: number; readonly stage?: string }
  | { readonly type: 'data'; readonly data: unknown }

/** A task as notify-api has it. */
export interface Stored {
  readonly status: string
  readonly textBytes: number
  readonly percent?: number
  readonly stage?: string
  readonly data: readonly unknown[]
}

/** What was told of a task besides text, so that it can be told again. It is bounded by what notify-api takes (MAX_TASK_DATA_BYTES). */
export class Told {
  #progress: { readonly percent?: number; readonly stage?: string } = {}
  readonly #data: unknown[] = []

  add(telling: Telling): void {
    if (telling.type === 'data') return void this.#data.push(telling.data)
    const { type: _, ...progress } = telling
    this.#progress = { ...this.#progress, ...progress }
  }

  /** What notify-api had been told and has nothing of any more. What it has may be newer, from another producer of the task. */
  missingIn({ percent, stage, data }: Stored): Telling[] {
    const progress = {
      ...(percent === undefined && this.#progress.percent !== undefined && { percent: this.#progress.percent }),
      ...(stage === undefined && this.#progress.stage !== undefined && { stage: this.#progress.stage }),
    }
    const missing: Telling[] = Object.keys(progress).length > 0 ? [{ type: 'progress', ...progress }] : []
    const there = data.map((each) => JSON.stringify(each))
    for (const each of this.#data) {
      const at = there.indexOf(JSON.stringify(each))
      if (at === -1) missing.push({ type: 'data', data: each })
      else there.splice(at, 1)
    }
    return missing
  }
}
