import { readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { parse, parseAllDocuments } from 'yaml'

/** An object of Kubernetes, as in a manifest. */
export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string }
  readonly data?: Record<string, string>
  // Checked against the schema of its kind by the test, not by the compiler.
  readonly spec?: unknown
}

interface Kustomization {
  readonly namespace?: string
  readonly resources: readonly string[]
  readonly images?: readonly { readonly name: string; readonly newName: string; readonly newTag: string }[]
  readonly configMapGenerator?: readonly { readonly name: string; readonly literals: readonly string[] }[]
  readonly patches?: readonly { readonly path: string }[]
}

/**
 * Returns the manifests that `kubectl kustomize` makes of a folder, without the hashes in the names of ConfigMaps. Supports what the
 * kustomizations here use: patches merge maps and replace lists.
 */
export function render(folder: string): Manifest[] {
  const kustomization = readDocuments(join(folder, 'kustomization.yaml'))[0] as Kustomization
  const { namespace, resources, images = [], configMapGenerator = [], patches = [] } = kustomization
  const manifests = resources.flatMap((resource) => {
    const path = join(folder, resource)
    return extname(path) ? (readDocuments(path) as Manifest[]) : render(path)
  })
  for (const { name, literals } of configMapGenerator) {
    const data = Object.fromEntries(literals.map((literal) => splitAt(literal, literal.indexOf('='))))
    apply(manifests, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data })
  }
  for (const { path } of patches) for (const patch of readDocuments(join(folder, path))) apply(manifests, patch as Manifest)
  const rendered = images.reduce(
    (text, { name, newName, newTag }) => text.replaceAll(`"image":"${name}"`, `"image":"${newName}:${newTag}"`),
    JSON.stringify(manifests),
  )
  return (JSON.parse(rendered) as Manifest[]).map((manifest) => inNamespace(manifest, namespace))
}

function inNamespace(manifest: Manifest, namespace: string | undefined): Manifest {
  if (!namespace || manifest.kind === 'Namespace') return manifest
  return { ...manifest, metadata: { ...manifest.metadata, namespace } }
}

function readDocuments(path: string): unknown[] {
  return parseAllDocuments(readFileSync(path, 'utf8')).map((document) => parse(String(document)) as unknown)
}

function splitAt(text: string, at: number): [string, string] {
  return [text.slice(0, at), text.slice(at + 1)]
}

/** Merges a patch into the manifest of the same kind and name. Without one, only a ConfigMap is added. */
function apply(manifests: Manifest[], patch: Manifest): void {
  const at = manifests.findIndex(({ kind, metadata }) => kind === patch.kind && metadata.name === patch.metadata.name)
  const target = manifests[at]
  if (target) manifests[at] = merge(target, patch) as Manifest
  else if (patch.kind === 'ConfigMap') manifests.push(patch)
  else throw new Error(`a patch changes ${patch.kind} ${patch.metadata.name}, which does not exist`)
}

function merge(target: unknown, patch: unknown): unknown {
  if (!isMap(target) || !isMap(patch)) return patch
  const merged = Object.entries(patch).map(([key, value]) => [key, key in target ? merge(target[key], value) : value])
  return { ...target, ...Object.fromEntries(merged) }
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
