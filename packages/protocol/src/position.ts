/**
 * Position of a publication in its channel (PROTOCOL.md §3). `epoch` names one history of the channel. `offset` counts 1, 2, 3…
 * within the epoch, without holes; 0 is the place before the first publication.
 */
export interface Position {
  readonly epoch: number
  readonly offset: number
}

// The message-id of a publication without a position is the position it follows and a suffix: `1700000000000-5.2`.
const pattern = /^(\d{1,15})-(\d{1,15})(?:\.\d{1,15})?$/

/**
 * Parses `<epoch>-<offset>`, or the message-id `<epoch>-<offset>.<n>`, whose suffix it drops. Returns undefined for any other
 * text.
 */
export function parsePosition(text: string): Position | undefined {
  const match = pattern.exec(text)
  return match ? { epoch: Number(match[1]), offset: Number(match[2]) } : undefined
}

/** Returns `<epoch>-<offset>`. */
export function formatPosition(position: Position): string {
  return `${position.epoch}-${position.offset}`
}

/** An epoch is the ms at which its history began, times this, plus the tag of the run of Redis that gave it. */
const tags = 100

/** Returns the position of a channel that was empty at `ms` (Unix time), in the run of Redis that gave the position `sameRun`. */
export function emptyAt(ms: number, sameRun: Position): Position {
  return { epoch: ms * tags + (sameRun.epoch % tags), offset: 0 }
}

/** Returns whether `next` is the next offset of the same epoch, so that no publication is between the two. */
export function follows(previous: Position, next: Position): boolean {
  return next.epoch === previous.epoch && next.offset === previous.offset + 1
}
