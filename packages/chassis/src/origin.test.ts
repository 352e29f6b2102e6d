import { expect, test } from 'vitest'
import { isOriginPattern, originMatcher } from './origin.ts'

test('a pattern without a wildcard matches exactly one Origin', () => {
  const allowed = originMatcher(['https://app.example.com', 'http://localhost:8080'])
  expect(allowed('https://app.example.com')).toBe(true)
  expect(allowed('http://localhost:8080')).toBe(true)
  for (const origin of [
    'http://app.example.com',
    'https://app.example.com:8443',
    'https://example.com',
    'http://localhost',
    'null',
    '',
    undefined,
  ])
    expect(allowed(origin), String(origin)).toBe(false)
})

test('a wildcard matches one or more labels at the beginning of the host', () => {
  const allowed = originMatcher(['https://*.example.com'])
  expect(allowed('https://a.example.com')).toBe(true)
  expect(allowed('https://a.b-c.example.com')).toBe(true)
  const notAllowed = [
    'https://example.com',
    'https://.example.com',
    'https://evil.com/.example.com',
    'https://evil.com#.example.com',
    'https://evilexample.com',
    'https://a.example.com.evil.com',
    'https://a.exampleXcom',
    'http://a.example.com',
    'https://a.example.com:8443',
    'https://user@a.example.com',
    'https://-a.example.com',
  ]
  for (const origin of notAllowed) expect(allowed(origin), origin).toBe(false)
})

test('a pattern may have the default port of its scheme, or upper case', () => {
  const allowed = originMatcher(['https://App.Example.com:443', 'http://*.Example.org:8080'])
  expect(allowed('https://app.example.com')).toBe(true)
  expect(allowed('http://a.example.org:8080')).toBe(true)
  expect(allowed('http://a.example.org')).toBe(false)
})

test('an Origin may have the default port of its scheme, or upper case', () => {
  const allowed = originMatcher(['https://app.example.com', 'http://*.example.org', 'https://b.example.com:8443'])
  for (const origin of [
    'https://app.example.com:443',
    'HTTPS://App.Example.com',
    'http://a.example.org:80',
    'http://A.EXAMPLE.ORG',
    'https://B.example.com:8443',
  ])
    expect(allowed(origin), origin).toBe(true)
  for (const origin of [
    'https://app.example.com:80',
    'http://a.example.org:443',
    'https://b.example.com:443',
    'https://app.example.com:443:443',
    'https://app.example.com:',
    'https://app.example.com/',
    'https://app.example.com/:443',
    'https://user@app.example.com:443',
    ' https://app.example.com',
    'https://app.example.com, https://app.example.com',
  ])
    expect(allowed(origin), origin).toBe(false)
})

test('an Origin of an app is allowed exactly, and the Origin null never', () => {
  const allowed = originMatcher(['capacitor://localhost', 'ionic://localhost', 'tauri://localhost:1', 'https://app.example.com'])
  for (const origin of ['capacitor://localhost', 'ionic://localhost', 'Capacitor://LocalHost', 'tauri://localhost:1'])
    expect(allowed(origin), origin).toBe(true)
  for (const origin of [
    'capacitor://localhost:443',
    'capacitor://localhost.evil.org',
    'capacitor://',
    'ionic://local',
    'tauri://localhost',
    'http://localhost',
    'https://localhost',
    'file://',
    'null',
  ])
    expect(allowed(origin), origin).toBe(false)
})

test('a pattern may be an internationalised name', () => {
  expect(originMatcher(['https://bücher.example'])('https://xn--bcher-kva.example')).toBe(true)
})

test.each([
  ['https://app.example.com', true],
  ['https://*.example.com:8443', true],
  ['http://[::1]:8080', true],
  ['capacitor://localhost', true],
  ['chrome-extension://abcdefghijklmnop', true],
  ['capacitor://*.localhost', false],
  ['https://a.*.example.com', false],
  ['https://*', false],
  ['*', false],
  ['null', false],
  ['', false],
  ['file://', false],
  ['wss://app.example.com', false],
  ['ftp://app.example.com', false],
  ['app.example.com', false],
  ['https://', false],
  ['https://app.example.com/', false],
  ['https://app.example.com/path', false],
  ['https://app.example.com?x', false],
  ['https://user@app.example.com', false],
  ['https://app.example.com:99999', false],
  ['https://a b.example.com', false],
  ['javascript:alert(1)', false],
])('%j is a pattern: %s', (pattern, expected) => {
  expect(isOriginPattern(pattern)).toBe(expected)
})
