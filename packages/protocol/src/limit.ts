/** Limits of the wire with their defaults (PROTOCOL.md §8). A gateway reads each from the environment variable of the same name. */
export const defaultLimits = {
  /** Largest STOMP frame a client may send, in bytes from command to body. */
  maxFrameBytes: 65_536,
  /** Most headers in one frame. */
  maxHeaders: 64,
  /** Longest command or header line, in bytes. */
  maxHeaderBytes: 4_096,
} as const

export type FrameLimits = { readonly [limit in keyof typeof defaultLimits]: number }
