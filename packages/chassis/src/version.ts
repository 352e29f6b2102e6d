import { readFileSync } from 'node:fs'

/** Version of the project, from the manifest of this package: all packages share one version. */
export const version: string = readVersion()

function readVersion(): string {
  const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
  return manifest.version
}
