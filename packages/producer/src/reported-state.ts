/** An event other than text that a producer reports. */
export type Report =
  | { readonly type: 'progress'; readonly percent?: number; readonly stage?: string }
  | { readonly type: 'data'; readonly data: unknown }

/** A task as notify-api returns it. */
export interface StoredTask {
  readonly status: string
  /** Length of its text, in bytes of UTF-8. */
  readonly textBytes: number
  readonly percent?: number
  readonly stage?: string
  readonly data: readonly unknown[]
}

/**
 * Everything but text that was reported for one task, so that it can be sent again when Redis has lost it. notify-api limits its size
 * (MAX_TASK_DATA_BYTES).
 */
export class ReportedState {
  #progress: { readonly percent?: number; readonly stage?: string } = {}
  readonly #data: unknown[] = []

  add(report: Report): void {
    if (report.type === 'data') return void this.#data.push(report.data)
    const { type: _, ...progress } = report
    this.#progress = { ...this.#progress, ...progress }
  }

  /** Returns the reports that the stored task lacks. A value that is stored is kept: another producer of the task may have set it later. */
  missingFrom({ percent, stage, data }: StoredTask): Report[] {
    const progress = {
      ...(percent === undefined && this.#progress.percent !== undefined && { percent: this.#progress.percent }),
      ...(stage === undefined && this.#progress.stage !== undefined && { stage: this.#progress.stage }),
    }
    const missing: Report[] = Object.keys(progress).length > 0 ? [{ type: 'progress', ...progress }] : []
    const stored = data.map((each) => JSON.stringify(each))
    for (const each of this.#data) {
      const at = stored.indexOf(JSON.stringify(each))
      if (at === -1) missing.push({ type: 'data', data: each })
      else stored.splice(at, 1)
    }
    return missing
  }
}
