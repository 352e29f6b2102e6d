import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

const directories = [
  ...(process.env['PATH'] ?? '').split(delimiter),
  // Debian installs servers in sbin, which is often not on PATH; on macOS browsers are not on PATH either.
  '/usr/sbin',
  '/usr/local/sbin',
  '/opt/homebrew/bin',
  '/Applications/Google Chrome.app/Contents/MacOS',
]

/** Returns the path of the first of these programs that is installed, or undefined. */
export function findProgram(...names: string[]): string | undefined {
  return names.flatMap((name) => directories.map((directory) => join(directory, name))).find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
