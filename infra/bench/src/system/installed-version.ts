import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Returns the version of an installed package. */
export function installedVersion(name: string): string {
  let folder = dirname(fileURLToPath(import.meta.resolve(name)))
  for (;;) {
    const { name: found, version } = manifestOf(folder)
    if (found === name && version) return version
    if (folder === dirname(folder)) throw new Error(`${name} has no package.json`)
    folder = dirname(folder)
  }
}

function manifestOf(folder: string): { name?: string; version?: string } {
  try {
    return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name?: string; version?: string }
  } catch {
    return {}
  }
}
