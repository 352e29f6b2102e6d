import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { Refusal } from './refusal.ts'
import type { Step } from './stack.ts'

/** What the images hold: each is released as a tarball with its dependencies, which Node runs without an installation. */
const images = ['notify-api', 'realtime-gateway', 'edge'] as const
const maxOutputBytes = 67_108_864

/**
 * Builds the commit that is checked out, in a directory of its own, and writes to `outDir`: the packages for npm, a tarball for each image, the
 * notes from the changelog, and the checksums of all. Publishes nothing. Resolves to the paths.
 *
 * @throws Refusal when the repository is not in a state to be released.
 */
export async function release(root: string, outDir: string, step: Step): Promise<string[]> {
  await step('repository', async () => refuseBlocked(await releaseBlockers(root)))
  const out = resolve(outDir)
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out, { recursive: true })
  const work = mkdtempSync(join(tmpdir(), 'tidings-release-'))
  try {
    // Not the working tree: its `dist` folders may hold what an earlier build of other sources left there.
    const source = join(work, 'source')
    mkdirSync(source)
    await run('sh', ['-c', `git archive --format=tar HEAD | tar -x -C "$1"`, 'sh', source], root)
    const script = [join(source, 'infra/local/run.mjs')]
    await step('build', async () => void (await run(process.execPath, [...script, 'build'], source)))
    await step('packages', async () => void (await run(process.execPath, [...script, 'pack', out], source)))
    for (const image of images) await step(image, () => packImage(image, { source, work, out, root }))
    await step('notes', async () => writeNotes(root, out))
    writeFileSync(join(out, 'SHA256SUMS'), checksums(out))
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  return readdirSync(out).map((file) => join(out, file))
}

/** Those of the workspace. Below them are those of programs that tests install. */
const packageManifests = ['package.json', ...['services', 'packages', 'infra'].map((folder) => `:(glob)${folder}/*/package.json`)]

/** Resolves to what speaks against a release of this repository, one line for each; empty if it may be released. */
export async function releaseBlockers(root: string): Promise<string[]> {
  const version = versionOf(root, 'package.json')
  const [changes, manifests, tag, head] = await Promise.all([
    run('git', ['status', '--porcelain'], root),
    run('git', ['ls-files', ...packageManifests], root),
    run(
      'git',
      ['tag', '--list', `v${version}`, '--format=%(if)%(*objectname)%(then)%(*objectname)%(else)%(objectname)%(end)'],
      root,
    ),
    run('git', ['rev-parse', 'HEAD'], root),
  ])
  return [
    ...lines(changes).map((line) => `not committed: ${line}`),
    ...lines(manifests)
      .filter((path) => versionOf(root, path) !== version)
      .map((path) => `${path}: version ${versionOf(root, path)}, but package.json has ${version}`),
    ...lines(tag)
      .filter((commit) => commit !== head.trim())
      .map((commit) => `v${version} is released already, as ${commit}: choose another version in package.json`),
  ]
}

/** Returns the part of the changelog about the version in package.json, or what is unreleased if it has none, and which it is. */
export function releaseNotes(root: string): { section: string; notes: string } {
  const sections = readFileSync(join(root, 'CHANGELOG.md'), 'utf8').split(/^(?=## )/m)
  const of = (name: string) => sections.find((each) => each.startsWith(`## [${name}]`))
  const version = versionOf(root, 'package.json')
  return of(version) ? { section: version, notes: of(version) ?? '' } : { section: 'Unreleased', notes: of('Unreleased') ?? '' }
}

interface Places {
  readonly source: string
  readonly work: string
  readonly out: string
  readonly root: string
}

/** Assembles an image as the Dockerfile does, and packs it. */
async function packImage(image: string, { source, work, out, root }: Places): Promise<void> {
  const { packageManager } = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8')) as { packageManager: string }
  const directory = `tidings-${image}-${versionOf(root, 'package.json')}`
  const deploy = ['--filter', `@tidings/${image}`, 'deploy', '--prod', '--prefer-offline', '--trust-lockfile']
  await run('npx', ['-y', packageManager, ...deploy, join(work, directory)], source)
  const owner = ['--sort=name', '--owner=0', '--group=0', '--numeric-owner']
  await run('tar', [...owner, '-C', work, '-czf', join(out, `${directory}.tar.gz`), directory], work)
}

/** Returns the section of the changelog that was taken. */
function writeNotes(root: string, out: string): string {
  const { section, notes } = releaseNotes(root)
  writeFileSync(join(out, 'NOTES.md'), notes)
  return section
}

/** Returns lines for `sha256sum --check`. */
function checksums(directory: string): string {
  return readdirSync(directory)
    .toSorted()
    .map(
      (file) =>
        `${createHash('sha256')
          .update(readFileSync(join(directory, file)))
          .digest('hex')}  ${basename(file)}\n`,
    )
    .join('')
}

function refuseBlocked(blockers: readonly string[]): void {
  if (blockers.length > 0) throw new Refusal(['This is not ready to be released:', ...blockers].join('\n  '))
}

function versionOf(root: string, path: string): string {
  return (JSON.parse(readFileSync(join(root, path), 'utf8')) as { version: string }).version
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '')
}

async function run(command: string, args: readonly string[], cwd: string): Promise<string> {
  return (await promisify(execFile)(command, args, { cwd, maxBuffer: maxOutputBytes })).stdout
}
