/** Why something cannot be done here, in words for the person at the terminal: shown without a stack. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly expected = true
}
