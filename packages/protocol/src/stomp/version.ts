export type StompVersion = '1.0' | '1.1' | '1.2'

/** The versions spoken here, best first. */
export const stompVersions: readonly StompVersion[] = ['1.2', '1.1', '1.0']

/** The WebSocket subprotocol that stands for each version (PROTOCOL.md §2). */
export const subprotocols = { '1.2': 'v12.stomp', '1.1': 'v11.stomp', '1.0': 'v10.stomp' } as const satisfies Record<
  StompVersion,
  string
>

/**
 * Chooses the best version that both sides speak (STOMP 1.2, Protocol Negotiation). A CONNECT without `accept-version` comes
 * from a client that knows 1.0 only; undefined means that there is no version in common. Spaces around a version are ignored.
 */
export function negotiateVersion(acceptVersion: string | undefined): StompVersion | undefined {
  if (acceptVersion === undefined) return '1.0'
  const accepted = new Set(acceptVersion.split(',').map((version) => version.trim()))
  return stompVersions.find((version) => accepted.has(version))
}
