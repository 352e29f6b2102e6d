/** An expected error whose message is meant for the user at the terminal: printed without a stack. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly expected = true
}
