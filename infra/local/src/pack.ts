import { execFile } from 'node:child_process'
import { copyFile, mkdir, readFile } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { promisify } from 'node:util'

const root = join(import.meta.dirname, '../../..')
const packages = ['protocol', 'client', 'producer'] as const
/** What a page without a bundler loads; see `packages/client/vite.config.ts`. */
const scripts = ['tidings.js', 'tidings.mjs'].flatMap((file) => [`script/${file}`, `script/${file}.map`])
/** The service worker of a page that uses web push. */
const worker = 'worker/tidings-worker.js'

/**
 * Packs protocol, client and producer as tarballs that npm installs, and writes them and the scripts and the service worker of the client to `outDir`. Resolves to
 * the paths of all files. `tsc -b` comes first.
 */
export async function packPackages(outDir: string): Promise<string[]> {
  const out = resolve(outDir)
  await mkdir(out, { recursive: true })
  const client = join(root, 'packages/client')
  const vite = join(client, 'node_modules/.bin/vite')
  await run(vite, ['build'], client)
  for (const mode of ['script', 'worker']) await run(vite, ['build', '--mode', mode], client)
  const { packageManager } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { packageManager: string }
  const files: string[] = []
  for (const name of packages) {
    // npm would leave `workspace:` and `catalog:` in the manifest, which it cannot install.
    const args = ['-y', packageManager, 'pack', '--json', '--pack-destination', out]
    const { filename } = JSON.parse(await run('npx', args, join(root, 'packages', name))) as { filename: string }
    files.push(resolve(out, filename))
  }
  for (const script of [...scripts, worker]) {
    const file = join(out, basename(script))
    await copyFile(join(client, 'dist', script), file)
    files.push(file)
  }
  return files
}

async function run(command: string, args: readonly string[], cwd: string): Promise<string> {
  return (await promisify(execFile)(command, args, { cwd })).stdout
}
