/**
 * Where a publication stands in its channel (PROTOCOL.md §3): `epoch` is the millisecond at which the channel's history began,
 * `offset` counts 1, 2, 3… within it without holes. Offset 0 is the place before the first publication.
 */
export interface Position {
  readonly epoch: number
  readonly offset: number
}

// A publication without a position is delivered with the position it follows and a suffix of its own: `1700000000000-5.2`.
const pattern = /^(\d{1,15})-(\d{1,15})(?:\.\d{1,15})?$/

/** Reads `<epoch>-<offset>`; undefined when the text is no position. */
export function parsePosition(text: string): Position | undefined {
  const match = pattern.exec(text)
  return match ? { epoch: Number(match[1]), offset: Number(match[2]) } : undefined
}

export function formatPosition(position: Position): string {
  return `${position.epoch}-${position.offset}`
}

/** True when nothing lies between `previous` and `next`. */
export function follows(previous: Position, next: Position): boolean {
  return next.epoch === previous.epoch && next.offset === previous.offset + 1
}
