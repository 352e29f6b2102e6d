/** Where the search ends: deeper than any accepted body. */
const maxLevels = 32

/** Returns the path of the first key `__proto__`, or `prototype` of a `constructor`, in a value parsed from JSON. */
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
