import { InvalidPart } from './problem-handler.ts'

/** Matches every JSON text that has a forbidden key, and few others. */
const suspicious = /__proto__|prototype|\\u/
/** Where the search ends: deeper than any accepted body. */
const maxLevels = 32

/** Returns the refusal of a body with the key `__proto__`, or `prototype` in `constructor`. `value` is what `json` was parsed to. */
export function refuseForbiddenKey(json: string, value: unknown): InvalidPart | undefined {
  const path = suspicious.test(json) ? pathOfForbiddenKey(value) : undefined
  return path && forbiddenKey(path)
}

/** Returns the refusal of a body whose key at `path` could change a prototype. */
export function forbiddenKey(path: PropertyKey[]): InvalidPart {
  const message = 'is refused: the keys __proto__ and constructor.prototype are not accepted'
  return new InvalidPart('body', [{ code: 'custom', path, message, input: undefined }])
}

/** Returns the path of the first such key. */
export function pathOfForbiddenKey(root: unknown): string[] | undefined {
  const open: { value: unknown; path: string[] }[] = [{ value: root, path: [] }]
  // Grows while it runs. No recursion: the value may be nested deeply.
  for (const { value, path } of open) {
    if (typeof value !== 'object' || value === null || path.length === maxLevels) continue
    for (const [key, inner] of Object.entries(value)) {
      if (key === '__proto__' || (key === 'prototype' && path.at(-1) === 'constructor')) return [...path, key]
      open.push({ value: inner, path: [...path, key] })
    }
  }
  return undefined
}
