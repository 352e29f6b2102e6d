import { expect, test } from 'vitest'
import { originMatcher } from './origin.ts'

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
