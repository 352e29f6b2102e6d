import { readFileSync } from 'node:fs'

/** Version of Tidings, from the package.json of this package. All packages have the same version. */
export const version: string = readVersion()

function readVersion(): string {
  const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
  return manifest.version
}
