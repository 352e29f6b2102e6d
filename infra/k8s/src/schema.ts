import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Manifest } from './render.ts'

const root = join(import.meta.dirname, '../../..')
const dist = join(import.meta.dirname, '../dist')

/** A class of kubernetes-models. */
type Model = new (manifest: Manifest) => { validate(): void }

/** Returns what the schemas of Kubernetes refuse: wrong values, missing fields, and fields that do not exist. */
export async function refusalsOf(manifests: readonly Manifest[]): Promise<string[]> {
  const refused = await Promise.all(manifests.map(refusedValues))
  return [...refused.flat(), ...unknownFields(manifests)]
}

async function refusedValues(manifest: Manifest): Promise<string[]> {
  const { apiVersion, kind, metadata } = manifest
  const specifier = `kubernetes-models/${apiVersion}`
  const models = (await import(specifier)) as Record<string, Model>
  const KindModel = models[kind]
  if (!KindModel) return [`${kind}: not a kind of ${apiVersion}`]
  try {
    new KindModel(manifest).validate()
    return []
  } catch (error) {
    return [`${kind} ${metadata.name}: ${(error as Error).message}`]
  }
}

/** The schemas permit any further field, and the API server drops them. The compiler refuses those of a literal. */
function unknownFields(manifests: readonly Manifest[]): string[] {
  mkdirSync(dist, { recursive: true })
  const directory = mkdtempSync(join(dist, 'schema-'))
  const compilerOptions = { composite: false, noEmit: true, types: [] }
  const lines = manifests.map(
    (manifest, at) =>
      `export const manifest${at}: import('kubernetes-models/${manifest.apiVersion}').I${manifest.kind} = ${JSON.stringify(manifest)}`,
  )
  writeFileSync(join(directory, 'manifest.ts'), lines.join('\n'))
  writeFileSync(
    join(directory, 'tsconfig.json'),
    JSON.stringify({ extends: join(root, 'tsconfig.base.json'), compilerOptions, files: ['manifest.ts'] }),
  )
  const { stdout } = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', directory, '--pretty', 'false'], { encoding: 'utf8' })
  rmSync(directory, { recursive: true })
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const { kind, metadata } = manifests[Number(/manifest\.ts\((\d+),/.exec(line)?.[1]) - 1] ?? {}
      return `${kind} ${metadata?.name}: ${line}`
    })
}
