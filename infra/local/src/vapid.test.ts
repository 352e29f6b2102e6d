import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { keptVapidVariables, newVapidVariables } from './vapid.ts'

const directory = mkdtempSync(join(tmpdir(), 'tidings-vapid-'))
afterAll(() => rmSync(directory, { recursive: true }))

test('a key pair is made once and kept where only its owner can read it', () => {
  const file = join(directory, 'data', 'vapid.json')
  const made = keptVapidVariables(file)
  expect(keptVapidVariables(file)).toEqual(made)
  expect(statSync(file).mode & 0o777).toBe(0o600)
})

test('keys are the bytes that browsers and `web-push generate-vapid-keys` use', () => {
  // A private key begins with a zero byte once in 256 times.
  for (let made = 0; made < 600; made++) {
    const { VAPID_PUBLIC_KEY, VAPID_PRIVATE_KEY } = newVapidVariables()
    expect([VAPID_PUBLIC_KEY, VAPID_PRIVATE_KEY]).toEqual([
      expect.stringMatching(/^B[\w-]{86}$/),
      expect.stringMatching(/^[\w-]{43}$/),
    ])
  }
})
