/** Default limits of the frame decoder (PROTOCOL.md §8). The gateway reads `maxFrameBytes` from MAX_FRAME_BYTES, and so on. */
export const defaultLimits = {
  /** Largest frame, in bytes from the command to the end of the body. */
  maxFrameBytes: 65_536,
  /** Largest number of headers in a frame, including repeated ones. */
  maxHeaders: 64,
  /** Longest command or header line, in bytes without the line end. */
  maxHeaderBytes: 4_096,
} as const

/** Limits of a frame decoder. */
export type FrameLimits = { readonly [limit in keyof typeof defaultLimits]: number }
