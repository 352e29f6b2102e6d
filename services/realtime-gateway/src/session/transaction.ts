import type { ClientCommand, Frame } from '@tidings/protocol'

/** Frames that wait for COMMIT. */
export interface Transaction {
  readonly frames: Frame<ClientCommand>[]
  /** Length of their headers and bodies together. */
  bytes: number
}
