import { createECDH } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/** The environment variables with which notify-api pushes. */
export type VapidVariables = Readonly<Record<'VAPID_PUBLIC_KEY' | 'VAPID_PRIVATE_KEY' | 'VAPID_SUBJECT', string>>

/** Returns a new key pair. */
export function newVapidVariables(subject = 'mailto:operator@example.com'): VapidVariables {
  const pair = createECDH('prime256v1')
  pair.generateKeys()
  // Leading zeros are not part of the private key in OpenSSL, but of its 32 bytes.
  const privateKey = Buffer.concat([Buffer.alloc(32), pair.getPrivateKey()]).subarray(-32)
  return {
    VAPID_PUBLIC_KEY: pair.getPublicKey('base64url'),
    VAPID_PRIVATE_KEY: privateKey.toString('base64url'),
    VAPID_SUBJECT: subject,
  }
}

/** Returns the key pair in a file, which is made at the first call: subscriptions of browsers are valid for one key. */
export function keptVapidVariables(file: string): VapidVariables {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as VapidVariables
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  const variables = newVapidVariables()
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `${JSON.stringify(variables, undefined, 2)}\n`, { mode: 0o600 })
  return variables
}

/** Prints a new key pair as environment variables: `npm run -s vapid -- mailto:push@example.com`. */
export function printVapid([subject]: readonly string[]): void {
  for (const [name, value] of Object.entries(newVapidVariables(subject))) console.log(`${name}=${value}`)
}
