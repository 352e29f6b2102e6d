import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { findProgram, spawnOwned } from '@tidings/local'

export const root = join(import.meta.dirname, '../../..')
/** Downloads, kept between runs. Git ignores them. */
export const cache = join(root, '.local/acceptance')

export interface RunOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}

/** Runs a program to its end and resolves to its last lines. Rejects with them unless it ends with 0. */
export async function run(command: string, args: readonly string[], { cwd = root, env = {} }: RunOptions = {}): Promise<string> {
  const started = spawnOwned({ name: basename(command), command, args, cwd, env: { ...process.env, ...env } })
  const { code, signal } = await started.exited
  const output = started.logs.join('\n')
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code ?? signal}\n${output}`)
  return output
}

/** Returns the note of a skipped test that needs programs of which one is missing. */
export function missing(...programs: string[]): string | undefined {
  const absent = programs.find((program) => !(program === 'pip' ? hasPip() : findProgram(program)))
  return absent && `${absent} is not installed`
}

function hasPip(): boolean {
  return spawnSync('python3', ['-m', 'pip', '--version']).status === 0
}

/** Returns a directory of the cache. `fill` fills a new one; it is not called for one that a run before has filled. */
async function cached(name: string, fill: (directory: string) => Promise<unknown>): Promise<string> {
  const directory = join(cache, name)
  if (existsSync(directory)) return directory
  const unfinished = `${directory}.${process.pid}`
  mkdirSync(unfinished, { recursive: true })
  try {
    await fill(unfinished)
    renameSync(unfinished, directory)
  } finally {
    rmSync(unfinished, { recursive: true, force: true })
  }
  return directory
}

/** Installs packages of PyPI, given as `name==version`, and returns their directory, for PYTHONPATH. */
export function pythonPackages(name: string, ...packages: string[]): Promise<string> {
  return cached(`python-${name}-${versions(packages)}`, (directory) =>
    run('python3', ['-m', 'pip', 'install', '--quiet', '--target', directory, ...packages]),
  )
}

/** Installs packages of npm, given as `name@version`, and returns the directory that has their `node_modules`. */
export function npmPackages(name: string, ...packages: string[]): Promise<string> {
  return cached(`npm-${name}-${versions(packages)}`, async (directory) => {
    writeFileSync(join(directory, 'package.json'), '{"private":true,"type":"module"}')
    await run('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', ...packages], { cwd: directory })
  })
}

/** Downloads jars of Maven Central, given as `group:artifact:version`, and returns their directory. */
export function jars(name: string, ...coordinates: string[]): Promise<string> {
  return cached(`jar-${name}-${versions(coordinates)}`, async (directory) => {
    for (const coordinate of coordinates) {
      const [group = '', artifact = '', version = ''] = coordinate.split(':')
      const jar = `${artifact}-${version}.jar`
      const response = await fetch(`https://repo1.maven.org/maven2/${group.replaceAll('.', '/')}/${artifact}/${version}/${jar}`)
      if (!response.ok) throw new Error(`${response.url}: ${response.status}`)
      writeFileSync(join(directory, jar), Buffer.from(await response.arrayBuffer()))
    }
  })
}

/** Returns the versions of packages, as part of a name: another version is another directory. */
function versions(packages: readonly string[]): string {
  return packages.map((each) => each.split(/[@=:]+/).at(-1)).join('-')
}
