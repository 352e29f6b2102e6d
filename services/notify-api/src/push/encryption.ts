import { createCipheriv, createECDH, ECDH, hkdfSync, randomBytes } from 'node:crypto'

/** The keys of a subscription, made by its browser: only that browser can decrypt what is encrypted with them. */
export interface PushKeys {
  /** A point on P-256, uncompressed: 65 bytes. */
  readonly p256dh: Buffer
  /** 16 bytes. */
  readonly auth: Buffer
}

const curve = 'prime256v1'
const saltBytes = 16
const keyBytes = 16
const nonceBytes = 12
const secretBytes = 32
const publicKeyBytes = 65
const tagBytes = 16
/** The largest body that every push service accepts (RFC 8030 §7.2), in one record (RFC 8291 §4). */
const recordBytes = 4_096
/** Ends the last record (RFC 8188 §2). */
const lastRecord = Buffer.from([2])
const headerBytes = saltBytes + 4 + 1 + publicKeyBytes

/** Largest plaintext of one push message. */
export const maxPlaintextBytes = recordBytes - headerBytes - lastRecord.length - tagBytes

/** Returns whether bytes are a point on P-256, uncompressed. */
export function isPublicKey(bytes: Buffer): boolean {
  if (bytes.length !== publicKeyBytes) return false
  try {
    ECDH.convertKey(bytes, curve)
    return true
  } catch {
    return false
  }
}

/** Returns a new key pair on P-256. */
export function newKeyPair(): ECDH {
  const pair = createECDH(curve)
  pair.generateKeys()
  return pair
}

/**
 * Encrypts a push message with `aes128gcm` (RFC 8188, RFC 8291). `sender` and `salt` are made for each message; only test vectors pass
 * them.
 */
export function encrypt(
  plaintext: Buffer,
  { p256dh, auth }: PushKeys,
  sender: ECDH = newKeyPair(),
  salt: Buffer = randomBytes(saltBytes),
): Buffer {
  const publicKey = sender.getPublicKey()
  const keyInfo = Buffer.concat([Buffer.from('WebPush: info\0'), p256dh, publicKey])
  const secret = derive(sender.computeSecret(p256dh), auth, keyInfo, secretBytes)
  const key = derive(secret, salt, 'Content-Encoding: aes128gcm\0', keyBytes)
  const nonce = derive(secret, salt, 'Content-Encoding: nonce\0', nonceBytes)
  const cipher = createCipheriv('aes-128-gcm', key, nonce)
  const encrypted = [cipher.update(plaintext), cipher.update(lastRecord), cipher.final()]
  const recordSize = Buffer.alloc(4)
  recordSize.writeUInt32BE(recordBytes)
  return Buffer.concat([salt, recordSize, Buffer.from([publicKeyBytes]), publicKey, ...encrypted, cipher.getAuthTag()])
}

function derive(secret: Buffer, salt: Buffer, info: Buffer | string, bytes: number): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, salt, info, bytes))
}
