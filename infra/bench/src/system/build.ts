import { join } from 'node:path'
import { findProgram } from '@tidings/local'

/** Root of the repository. */
export const root = join(import.meta.dirname, '../../../..')
/** Holds the systems that are built from registries. Not checked in. */
export const buildDirectory = join(root, '.local/bench')

/** Returns the path of an installed program. */
export function required(program: string): string {
  const path = findProgram(program)
  if (!path) throw new Error(`${program} is not installed`)
  return path
}
