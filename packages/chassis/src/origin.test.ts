import { expect, test } from 'vitest'
import { originMatcher } from './origin.ts'

test('an exact Origin matches itself only', () => {
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

test('a wildcard stands for one or more labels, at the front of the host only', () => {
  const allowed = originMatcher(['https://*.example.com'])
  expect(allowed('https://a.example.com')).toBe(true)
  expect(allowed('https://a.b-c.example.com')).toBe(true)
  const strangers = [
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
  for (const origin of strangers) expect(allowed(origin), origin).toBe(false)
})

test("a pattern may spell out its scheme's own port or use capitals; browsers do not", () => {
  const allowed = originMatcher(['https://App.Example.com:443', 'http://*.Example.org:8080'])
  expect(allowed('https://app.example.com')).toBe(true)
  expect(allowed('http://a.example.org:8080')).toBe(true)
  expect(allowed('http://a.example.org')).toBe(false)
})
