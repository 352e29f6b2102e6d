import type { Caller } from './caller.ts'
import { errorOf, isTextOffset, Refused } from './problem.ts'
import type { TaskText } from './task-text.ts'

export interface UploadSource {
  readonly text: TaskText
  /** True when no more text will be added. */
  readonly ended: () => boolean
  readonly signal: AbortSignal
  /** Asks notify-api how much text it has stored, in bytes of UTF-8. */
  readonly storedBytes: () => Promise<number>
}

/**
 * Sends the text of a task as it grows, and resolves when all of it is stored. When the connection breaks or notify-api restarts, the
 * next upload starts at the end of the stored text: no character is lost or doubled.
 *
 * @throws Refused, or the last error when no byte was stored for the length of the caller's retry window.
 */
export async function uploadAll(caller: Caller, path: string, source: UploadSource): Promise<void> {
  const retries = caller.retryWindow()
  let offset = await source.storedBytes()
  for (;;) {
    try {
      offset = (await uploadFrom(caller, path, offset, source)) ?? (await source.storedBytes())
      if (source.ended() && offset === source.text.bytes) return
    } catch (error) {
      await retries.waitAfter(error)
      const stored = await source.storedBytes()
      if (stored > offset) retries.reset()
      offset = stored
    }
  }
}

/** Runs one upload. Returns how much text is stored after it; undefined when the stored text did not end at `offset`. */
async function uploadFrom(caller: Caller, path: string, offset: number, source: UploadSource): Promise<number | undefined> {
  const response = await caller.fetch(`${path}/stream?offset=${offset}`, {
    method: 'POST',
    headers: { 'content-type': 'text/plain; charset=utf-8' },
    body: bodyFrom(offset, source),
    duplex: 'half',
    signal: source.signal,
  })
  if (response.ok) return ((await response.json()) as { textBytes: number }).textBytes
  const error = await errorOf(response)
  const { textBytes } = error.problem
  // More text stored than was ever produced here: another producer wrote it, so there is no offset to continue from.
  if (!(error instanceof Refused) || !isTextOffset(error.problem) || textBytes === undefined || textBytes > source.text.bytes)
    throw error
  return undefined
}

function bodyFrom(offset: number, { text, ended }: UploadSource): ReadableStream<Uint8Array> {
  let sent = offset
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      // After its upload was aborted, this may wait once more; what it then enqueues is discarded.
      while (sent === text.bytes && !ended()) await text.changed()
      if (sent === text.bytes) return controller.close()
      const rest = text.after(sent)
      sent += rest.length
      controller.enqueue(rest)
    },
  })
}
