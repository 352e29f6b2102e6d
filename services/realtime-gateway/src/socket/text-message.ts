const maxHeaderBytes = 10
const textFrame = 0x81

/** Returns an unmasked WebSocket text message (RFC 6455 §5.2) with room for `length` bytes of payload, which starts at `at`. */
export function allocateMessage(length: number): { message: Buffer; at: number } {
  const at = length < 126 ? 2 : length < 65_536 ? 4 : maxHeaderBytes
  const message = Buffer.allocUnsafe(at + length)
  message[0] = textFrame
  if (at === 2) message[1] = length
  else if (at === 4) {
    message[1] = 126
    message.writeUInt16BE(length, 2)
  } else {
    message[1] = 127
    message.writeBigUInt64BE(BigInt(length), 2)
  }
  return { message, at }
}

/** Returns `text`, a STOMP frame or a heart-beat, as one WebSocket text message. */
export function textMessage(text: string): Buffer {
  const { message, at } = allocateMessage(Buffer.byteLength(text))
  message.write(text, at)
  return message
}
