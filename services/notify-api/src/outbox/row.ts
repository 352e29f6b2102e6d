/** A message that is committed and not yet known to be published. */
export interface OutboxRow {
  readonly outboxId: number
  readonly channel: string
  readonly body: string
}
