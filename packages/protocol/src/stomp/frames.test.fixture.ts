import { defaultLimits, type FrameLimits } from '../limit.ts'
import { clientCommands, type Frame, FrameError, serverCommands } from './frame.ts'
import { FrameDecoder } from './frame-decoder.ts'
import type { StompVersion } from './version.ts'

/** A frame as plain values, which a test can compare. */
export interface PlainFrame {
  readonly command: string
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string
}

export interface Reading {
  /**
   * Version at the start of the stream; undefined before CONNECTED. A CONNECT in the stream changes it to its `accept-version`.
   */
  readonly version?: StompVersion | undefined
  readonly limits?: Partial<FrameLimits>
}

export interface Outcome {
  readonly frames: readonly PlainFrame[]
  readonly refusal: { code: string; reason: string; command: string | undefined; receipt: string | undefined } | undefined
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()
export const allCommands: ReadonlySet<string> = new Set<string>([...clientCommands, ...serverCommands])

export function bytes(plain: string): Uint8Array {
  return encoder.encode(plain)
}

export function text(encoded: Uint8Array): string {
  return decoder.decode(encoded)
}

/** Decodes the pieces, one push each. Returns the frames, and the error that ended the stream. */
export function read(pieces: Iterable<string | Uint8Array>, reading: Reading = {}): Outcome {
  const decoding = new FrameDecoder({ ...defaultLimits, ...reading.limits }, allCommands)
  decoding.version = reading.version
  const frames: PlainFrame[] = []
  const take = (frame: Frame) => {
    frames.push({ command: frame.command, headers: [...frame.headers], body: text(frame.body) })
    const chosen = frame.command === 'CONNECT' ? frame.headers.get('accept-version') : undefined
    if (chosen) decoding.version = chosen as StompVersion
  }
  try {
    for (const piece of pieces) decoding.push(typeof piece === 'string' ? bytes(piece) : piece, take)
  } catch (error) {
    if (!(error instanceof FrameError)) throw error
    return { frames, refusal: { code: error.code, reason: error.message, command: error.command, receipt: error.receipt } }
  }
  return { frames, refusal: undefined }
}

/** Returns the frame of a stream that must contain exactly one. */
export function readOne(stream: string | Uint8Array, version?: StompVersion): PlainFrame {
  const { frames, refusal } = read([stream], { version })
  if (refusal || frames.length !== 1) throw new Error(`expected one frame, not ${frames.length}: ${refusal?.reason}`)
  return frames[0] as PlainFrame
}

/** Returns the error of a stream, which must be the same for one push and for one push a byte. */
export function refused(stream: string | Uint8Array, reading: Reading = {}): Outcome['refusal'] {
  const whole = read([stream], reading)
  const trickled = read(byteByByte(typeof stream === 'string' ? bytes(stream) : stream), reading)
  if (JSON.stringify(whole) !== JSON.stringify(trickled)) {
    throw new Error(`at once: ${JSON.stringify(whole)}, byte by byte: ${JSON.stringify(trickled)}`)
  }
  return whole.refusal
}

export function byteByByte(stream: Uint8Array): Uint8Array[] {
  return Array.from(stream, (_, at) => stream.subarray(at, at + 1))
}

/** Splits the stream at the given indexes, in any order. */
export function cutAt(stream: Uint8Array, places: readonly number[]): Uint8Array[] {
  const cuts = [0, ...places.filter((place) => place <= stream.length).toSorted((a, b) => a - b), stream.length]
  return cuts.slice(1).map((end, index) => stream.subarray(cuts[index], end))
}

export function concat(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}
