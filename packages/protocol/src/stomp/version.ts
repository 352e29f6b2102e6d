/** A version of STOMP that this package implements. */
export type StompVersion = '1.0' | '1.1' | '1.2'

/** All versions, highest first. */
export const stompVersions: readonly StompVersion[] = ['1.2', '1.1', '1.0']

/** WebSocket subprotocol of each version (PROTOCOL.md §2). */
export const subprotocols = { '1.2': 'v12.stomp', '1.1': 'v11.stomp', '1.0': 'v10.stomp' } as const satisfies Record<
  StompVersion,
  string
>

/**
 * Returns the highest version that both sides speak (STOMP 1.2, Protocol Negotiation), or undefined if there is none.
 * `acceptVersion` is the header of CONNECT, in which spaces around a version are ignored; a missing header means 1.0.
 */
export function negotiateVersion(acceptVersion: string | undefined): StompVersion | undefined {
  if (acceptVersion === undefined) return '1.0'
  const accepted = new Set(acceptVersion.split(',').map((version) => version.trim()))
  return stompVersions.find((version) => accepted.has(version))
}
