import type { Caller } from './caller.ts'
import { Unanswered } from './patience.ts'
import { refusalOf } from './problem.ts'
import type { TaskText } from './task-text.ts'

export interface Source {
  readonly text: TaskText
  /** Nothing more will be added. */
  readonly ended: () => boolean
  readonly signal: AbortSignal
  /** Asks where the text ends over there. */
  readonly textBytes: () => Promise<number>
}

/**
 * Sends the text of a task as it grows, until its end is there whole. When the connection breaks or notify-api restarts, the next
 * upload begins where the text ends over there: no character is lost or doubled.
 *
 * @throws TaskRefused, or the last error when nothing went on for longer than the caller's patience.
 */
export async function uploadAll(caller: Caller, path: string, source: Source): Promise<void> {
  const patience = caller.patience()
  let offset = await source.textBytes()
  for (;;) {
    try {
      offset = (await uploadFrom(caller, path, offset, source)) ?? (await source.textBytes())
      if (source.ended() && offset === source.text.bytes) return
    } catch (error) {
      await patience.after(error)
      const there = await source.textBytes()
      if (there > offset) patience.renew()
      offset = there
    }
  }
}

/** One upload. Answers where the text ends then; undefined when it had ended elsewhere. */
async function uploadFrom(caller: Caller, path: string, offset: number, source: Source): Promise<number | undefined> {
  const response = await caller.fetch(`${path}/stream?offset=${offset}`, {
    method: 'POST',
    headers: { 'content-type': 'text/plain; charset=utf-8' },
    body: bodyFrom(offset, source),
    duplex: 'half',
    signal: source.signal,
  })
  if (response.ok) return ((await response.json()) as { textBytes: number }).textBytes
  const refusal = await refusalOf(response)
  if (!refusal) throw new Unanswered(`an upload was answered with ${response.status}`)
  const { type, textBytes } = refusal.problem
  if (!type.endsWith('/text-offset') || textBytes === undefined || textBytes > source.text.bytes) throw refusal
  return undefined
}

function bodyFrom(offset: number, { text, ended }: Source): ReadableStream<Uint8Array> {
  let sent = offset
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      // Of an upload that was given up this waits once more, and what it gives then goes nowhere.
      while (sent === text.bytes && !ended()) await text.changed()
      if (sent === text.bytes) return controller.close()
      const rest = text.after(sent)
      sent += rest.length
      controller.enqueue(rest)
    },
  })
}
