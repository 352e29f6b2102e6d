import { createECDH } from 'node:crypto'
import type { lookup } from 'node:dns'
import { decryptPush, newVapidVariables, verifyVapid } from '@tidings/local'
import type { PushMessage } from '@tidings/protocol'
import { describe, expect, test } from 'vitest'
import { encrypt, isPublicKey, maxPlaintextBytes } from '../src/push/encryption.ts'
import { endpointFault, isPublicAddress, publicLookup } from '../src/push/endpoint.ts'
import { payloadOf, type PushContent, topicOf } from '../src/push/payload.ts'
import { isKeyPair, VapidSigner } from '../src/push/vapid.ts'

const bytes = (text: string) => Buffer.from(text, 'base64url')

function pairOf(privateKey: string) {
  const pair = createECDH('prime256v1')
  pair.setPrivateKey(privateKey, 'base64url')
  return pair
}

function parsed(payload: Buffer): PushMessage {
  return JSON.parse(payload.toString()) as PushMessage
}

/** Resolves to what a connection to a name with these addresses gets: addresses, or the reason of the refusal. */
function lookUp(addresses: readonly string[], all = true): Promise<unknown> {
  const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
  const system = (_name: string, _options: object, callback: (error: null, result: object[]) => void) => callback(null, found)
  return new Promise((resolve) => {
    publicLookup(system as unknown as typeof lookup)('push.example', { all }, (error, result) =>
      resolve(error?.message ?? result),
    )
  })
}

describe('encryption', () => {
  test('makes the message of RFC 8291 §5, and a browser decrypts it', () => {
    const browser = { keys: pairOf('q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94'), auth: bytes('BTBZMqHH6r4Tts7J_aSIgg') }
    const p256dh = bytes('BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4')
    const sender = pairOf('yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw')
    const plaintext = Buffer.from('When I grow up, I want to be a watermelon')
    const body = encrypt(plaintext, { p256dh, auth: browser.auth }, sender, bytes('DGv6ra1nlYgDCS1FRnbzlw'))
    expect(body.toString('base64url')).toBe(
      'DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN',
    )
    expect(decryptPush(body, browser)).toEqual(plaintext)
  })

  test('fills the 4096 bytes that push services accept, with other keys and salt each time', () => {
    const keys = pairOf('q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94')
    const subscription = { p256dh: keys.getPublicKey(), auth: bytes('BTBZMqHH6r4Tts7J_aSIgg') }
    const plaintext = Buffer.alloc(maxPlaintextBytes, 'x')
    const [one, other] = [encrypt(plaintext, subscription), encrypt(plaintext, subscription)]
    expect(one).toHaveLength(4_096)
    expect(one.subarray(0, 86)).not.toEqual(other.subarray(0, 86))
    expect(decryptPush(one, { keys, auth: subscription.auth })).toEqual(plaintext)
  })

  test('a public key is a point on the curve', () => {
    const point = pairOf('q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94').getPublicKey()
    expect(isPublicKey(point)).toBe(true)
    expect(isPublicKey(point.subarray(0, 64))).toBe(false)
    expect(isPublicKey(Buffer.from(point.map((byte, at) => (at === 64 ? byte ^ 1 : byte))))).toBe(false)
    expect(isPublicKey(Buffer.alloc(65, 4))).toBe(false)
  })
})

describe('VAPID', () => {
  const origin = 'https://push.example.net'
  const expiresAt = 1_453_523_768
  const header =
    'vapid t=eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJodHRwczovL3B1c2guZXhhbXBsZS5uZXQiLCJleHAiOjE0NTM1MjM3NjgsInN1YiI6Im1haWx0bzpwdXNoQGV4YW1wbGUuY29tIn0.i3CYb7t4xfxCDquptFOepC9GAu_HLGkMlMuCGSK2rpiUfnK9ojFwDXb1JrErtmysazNjjvW2L9OkSSHzvoD1oA, k=BA1Hxzyi1RUM1b5wjxsn7nGxAszw2u61m164i3MrAIxHF6YK5h4SDYic-dRuU_RCPCfA5aq9ojSwk5Y2EmClBPs'
  const keys = newVapidVariables()
  const settings = { publicKey: keys.VAPID_PUBLIC_KEY, privateKey: keys.VAPID_PRIVATE_KEY, subject: 'mailto:push@example.com' }

  test('signs the token of RFC 8292 §2.4, and the push service of the tests accepts that of the RFC, too', () => {
    const now = expiresAt - 43_200
    const signed = new VapidSigner(settings).authorization(origin, now)
    expect(signed.replace(/\.[^.]*$/, '')).toBe(header.replace(/\.[^.]*$/, ''))
    const claims = { aud: origin, exp: expiresAt, sub: 'mailto:push@example.com' }
    expect(verifyVapid(signed, origin, now * 1_000)).toEqual({ claims, publicKey: settings.publicKey })
    expect(verifyVapid(header, origin, now * 1_000)).toMatchObject({ claims })
    expect(() => verifyVapid(signed, 'https://other.example', now * 1_000)).toThrow('aud')
  })

  test('one token serves an origin for six hours; another origin has its own', () => {
    const signer = new VapidSigner(settings)
    const first = signer.authorization(origin, 1)
    expect(signer.authorization(origin, 21_601)).toBe(first)
    expect(signer.authorization(origin, 21_602)).not.toBe(first)
    const other = signer.authorization('https://other.example', 1)
    expect(verifyVapid(other, 'https://other.example', 1).claims['exp']).toBe(43_201)
  })

  test('a pair is a private key and its public key', () => {
    expect(isKeyPair(settings.publicKey, settings.privateKey)).toBe(true)
    expect(isKeyPair(settings.publicKey, newVapidVariables().VAPID_PRIVATE_KEY)).toBe(false)
    for (const key of ['', 'AAAA', '한글', 'A'.repeat(43)]) expect(isKeyPair(settings.publicKey, key)).toBe(false)
  })
})

describe('endpoint', () => {
  test.each([
    'https://fcm.googleapis.com/fcm/send/abc:def',
    'https://updates.push.services.mozilla.com/wpush/v2/abc',
    'https://web.push.apple.com/abc',
    'https://wns2-by3p.notify.windows.com/w/?token=abc',
    'https://push.example:8443/abc',
    'https://8.8.8.8/abc',
  ])('accepts %s', (endpoint) => expect(endpointFault(endpoint, 'refuse')).toBeUndefined())

  test.each([
    ['http://push.example/abc', 'must be an https: URL'],
    ['ftp://push.example/abc', 'must be an https: URL'],
    ['https://user@push.example/abc', 'must have neither user information nor a fragment'],
    ['https://push.example/abc#part', 'must have neither user information nor a fragment'],
    ['https://push.example:22/abc', 'must have port 443, or 1024 and above'],
    ...[
      'localhost',
      'a.localhost',
      'localhost.',
      '127.0.0.1',
      '0x7f.1',
      '2130706433',
      '10.0.0.1',
      '172.16.0.1',
      '192.168.0.1',
      '100.64.0.1',
      '169.254.169.254',
      '0.0.0.0',
      '[::]',
      '[::1]',
      '[::127.0.0.1]',
      '[fd00::1]',
      '[fe80::1]',
      '[::ffff:10.0.0.1]',
      '[::ffff:8.8.8.8]',
      '[64:ff9b::10.0.0.1]',
      '[2002:a00:1::]',
    ].map((host) => [`https://${host}/abc`, 'must not be at a private address']),
  ])('refuses %s', (endpoint, fault) => expect(endpointFault(endpoint, 'refuse')).toBe(fault))

  test('with private addresses allowed, also http: is', () => {
    expect(endpointFault('http://127.0.0.1:80/abc', 'allow')).toBeUndefined()
    expect(endpointFault('file:///etc/passwd', 'allow')).toBe('must be an https: or http: URL')
    expect(endpointFault('https://user@push.example', 'allow')).toMatch('user information')
  })

  test.each([
    ['8.8.8.8', true],
    ['2600:1901:0:38d7::', true],
    ['64:ff9b::8.8.8.8', true],
    ['192.0.2.1', false],
    ['198.18.0.1', false],
    ['224.0.0.1', false],
    ['255.255.255.255', false],
    ['fec0::1', false],
    ['ff02::1', false],
    ['2001:db8::1', false],
    ['fe80::1%eth0', false],
    ['not an address', false],
  ])('%s is public: %s', (address, expected) => expect(isPublicAddress(address)).toBe(expected))

  test.each(['127.0.0.1', '10.1.2.3', '169.254.169.254', '::1', 'fd00::1', '::ffff:127.0.0.1', '::ffff:10.0.0.1'])(
    'a name with the address %s is refused when it is connected to, also beside a public one',
    async (address) => {
      expect(await lookUp([address])).toBe('push.example has a private address')
      expect(await lookUp(['8.8.8.8', address])).toBe('push.example has a private address')
    },
  )

  test('a name with public addresses is connected to at these', async () => {
    const addresses = ['8.8.8.8', '2600::1']
    expect(await lookUp(addresses)).toEqual([
      { address: '8.8.8.8', family: 4 },
      { address: '2600::1', family: 6 },
    ])
    expect(await lookUp(addresses, false)).toBe('8.8.8.8')
    expect(await lookUp([])).toBe('push.example has no address')
  })
})

describe('payload', () => {
  const page = { origin: 'https://app.example', lang: 'ko' }
  const content: PushContent = { notificationId: 7, memberId: 'auth0|a', message: '새 주문\n두 개의 상품', count: 1 }
  const shown = (message: string) => {
    const { title, body } = parsed(payloadOf({ ...content, message }, page)).notification
    return [title, body]
  }

  test('is a declarative push message', () => {
    const whole = { ...content, redirectPath: '/주문/1?a=b', kind: 'order', data: { total: 2 }, count: 3, collapseKey: 'order-1' }
    expect(parsed(payloadOf(whole, page))).toEqual({
      web_push: 8030,
      notification: {
        title: '새 주문',
        body: '두 개의 상품',
        lang: 'ko',
        dir: 'auto',
        navigate: 'https://app.example/%EC%A3%BC%EB%AC%B8/1?a=b',
        tag: 'key:order-1',
        data: {
          notificationId: 7,
          memberId: 'auth0|a',
          redirectPath: '/주문/1?a=b',
          kind: 'order',
          data: { total: 2 },
          count: 3,
        },
      },
    })
    expect(parsed(payloadOf({ ...content, message: 'hello' }, {})).notification).toEqual({
      title: 'hello',
      dir: 'auto',
      tag: '7',
      data: { notificationId: 7, memberId: 'auth0|a' },
    })
    expect(parsed(payloadOf(content, page)).notification['navigate']).toBe('https://app.example/')
  })

  test('a long first line continues in the body', () => {
    const line = 'x'.repeat(150)
    expect(shown(`${line}\nmore`)).toEqual([`${'x'.repeat(99)}…`, `${'x'.repeat(51)}\nmore`])
    expect(shown(`\r\n ${'y'.repeat(100)}\r\nmore \n`)).toEqual(['y'.repeat(100), 'more'])
  })

  const family = '👨‍👩‍👧‍👦'
  test.each([
    ['Korean text', '가'.repeat(4_000)],
    ['emoji of several code points', family.repeat(363)],
    ['quotes, which JSON escapes', '"'.repeat(4_000)],
    ['one character that never ends', `a${'\u0301'.repeat(3_999)}`],
    ['lines', '한 줄\n'.repeat(1_000)],
  ])('fits into one message with 4,000 characters of %s', (_what, message) => {
    const large = { ...content, message, redirectPath: `/${'p'.repeat(2_000)}`, data: { large: 'x'.repeat(60_000) } }
    for (const each of [{ ...content, message }, large]) {
      const payload = payloadOf(each, page)
      expect(payload.length).toBeLessThanOrEqual(maxPlaintextBytes)
      const { title, body, data } = parsed(payload).notification
      expect(data).not.toHaveProperty('data')
      const text = title + (body ?? '')
      expect(text).not.toMatch(/\p{Surrogate}/u)
      if (message.includes(family)) expect(text.replaceAll('…', '').replaceAll(family, '')).toBe('')
    }
    // As much of the text as fits.
    if (message.startsWith('가')) expect(payloadOf({ ...content, message }, page).length).toBeGreaterThan(maxPlaintextBytes - 6)
  })

  test('leaves out data before it cuts text, and the redirect path when the text alone does not make room', () => {
    const message = '가'.repeat(1_000)
    const { body, data } = parsed(payloadOf({ ...content, message, data: { large: 'x'.repeat(1_000) } }, page)).notification
    expect([body?.length, data]).toEqual([901, { notificationId: 7, memberId: 'auth0|a' }])
    const path = `/${'가'.repeat(2_000)}`
    const { navigate } = parsed(payloadOf({ ...content, redirectPath: path }, page)).notification
    expect(navigate).toBe('https://app.example/')
  })

  test('a topic is made from the collapse key and the secret of the subscription', () => {
    const [one, other] = [Buffer.alloc(16, 1), Buffer.alloc(16, 2)]
    expect(topicOf({ collapseKey: 'a' }, one)).toMatch(/^[\w-]{32}$/)
    expect(topicOf({ collapseKey: 'a' }, one)).toBe(topicOf({ collapseKey: 'a' }, one))
    expect(topicOf({ collapseKey: 'b' }, one)).not.toBe(topicOf({ collapseKey: 'a' }, one))
    expect(topicOf({ collapseKey: 'a' }, other)).not.toBe(topicOf({ collapseKey: 'a' }, one))
    expect(topicOf({}, one)).toBeUndefined()
  })
})
