import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

const directories = [
  ...(process.env['PATH'] ?? '').split(delimiter),
  // Debian keeps servers in sbin, which is not on everybody's PATH; macOS keeps browsers out of it.
  '/usr/sbin',
  '/usr/local/sbin',
  '/opt/homebrew/bin',
  '/Applications/Google Chrome.app/Contents/MacOS',
]

/** The path of the first of these programs that is installed. */
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
