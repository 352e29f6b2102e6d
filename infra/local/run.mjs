// Entry of every root script. Plain Node without dependencies: installs the locked dependencies with pnpm, builds, and then calls the
// compiled TypeScript in dist.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const bin = (name) => join(root, 'node_modules/.bin', name)
const local = (file) => import(pathToFileURL(join(root, 'infra/local/dist', file)).href)

const scripts = {
  async start(args) {
    await step('dependencies', installDependencies)
    await step('build', build)
    const { start } = await local('start.js')
    await start(args, step)
  },
  async token(args) {
    await installDependencies()
    await run(bin('tsc'), ['-b', 'infra/local'])
    const { printToken } = await local('token.js')
    printToken(args)
  },
  async vapid(args) {
    await installDependencies()
    await run(bin('tsc'), ['-b', 'infra/local'])
    const { printVapid } = await local('vapid.js')
    printVapid(args)
  },
  async test(args) {
    await step('dependencies', installDependencies)
    await step('format', () => run(bin('biome'), ['format']))
    await step('types', () => run(bin('tsc'), ['-b']))
    await step('lint', lint)
    await step('page', buildPage)
    await step('servers', async () => (await local('install.js')).installForTests())
    await run(bin('vitest'), ['run', '--project', 'main', ...args], { show: true })
  },
  async acceptance(args) {
    await step('dependencies', installDependencies)
    await step('build', build)
    await step('servers', async () => (await local('install.js')).installForTests())
    await run(bin('vitest'), ['run', '--project', 'acceptance', ...args], { show: true })
  },
  async bench(args) {
    await step('dependencies', installDependencies)
    await step('build', build)
    await step('servers', async () => (await local('install.js')).installForTests())
    await run(process.execPath, [join(root, 'infra/bench/dist/main.js'), ...args], { show: true })
  },
  async migrate() {
    await installDependencies()
    await run(bin('tsc'), ['-b', 'services/notify-api'])
    await run(process.execPath, [join(root, 'services/notify-api/dist/migrate.js')], { show: true })
  },
  async build() {
    await step('dependencies', installDependencies)
    await step('build', build)
  },
  async pack([directory = '.local/package']) {
    await step('dependencies', installDependencies)
    await step('types', () => run(bin('tsc'), ['-b']))
    const { packPackages } = await local('pack.js')
    const files = await step('packages', () => packPackages(directory))
    for (const file of files) console.log(file)
  },
  async release([directory = '.local/release']) {
    await step('dependencies', installDependencies)
    await step('types', () => run(bin('tsc'), ['-b', 'infra/local']))
    const { release } = await local('release.js')
    for (const file of await release(root, directory, step)) console.log(file)
  },
  async check() {
    await step('dependencies', installDependencies)
    await step('format', () => run(bin('biome'), ['format']))
    await step('types', () => run(bin('tsc'), ['-b']))
    await step('lint', lint)
  },
  async lint(args) {
    await installDependencies()
    await run(bin('tsc'), ['-b'])
    await lint(args)
  },
  async format(args) {
    await installDependencies()
    await run(bin('biome'), ['format', '--write', ...args], { show: true })
  },
}

/** Carries the output of a quiet command. The output of a shown command is on the terminal already, so the message is empty. */
class CommandFailed extends Error {
  expected = true

  constructor(command, exitCode, output) {
    super(output === undefined ? '' : `${output.trimEnd()}\n${command} failed with exit code ${exitCode}`)
    this.exitCode = exitCode
  }
}

/** Skipped while the lockfile and all manifests are those that node_modules was installed from. */
async function installDependencies() {
  const stamp = join(root, 'node_modules/.tidings-stamp')
  const wanted = manifestHash()
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return 'unchanged'
  const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  await run('npx', ['-y', packageManager, 'install', '--frozen-lockfile', '--trust-lockfile'])
  writeFileSync(stamp, wanted)
  return 'installed'
}

function manifestHash() {
  const hash = createHash('sha256')
  const manifests = ['services', 'packages', 'infra'].flatMap((folder) =>
    readdirSync(join(root, folder))
      .toSorted()
      .map((entry) => join(folder, entry, 'package.json')),
  )
  const files = ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml', ...manifests]
  for (const file of files) {
    if (existsSync(join(root, file))) hash.update(`${file}\n`).update(readFileSync(join(root, file)))
  }
  return hash.digest('hex')
}

async function build() {
  await run(bin('tsc'), ['-b'])
  await buildPage()
}

/** Builds the demo page when a source of any package, or the lockfile, is newer than the built page. */
async function buildPage() {
  const demo = join(root, 'packages/demo')
  if (!existsSync(join(demo, 'index.html'))) return 'no page yet'
  const built = join(demo, 'dist/index.html')
  const changedAt = Math.max(newest(join(root, 'packages')), statSync(join(root, 'pnpm-lock.yaml')).mtimeMs)
  if (existsSync(built) && changedAt <= statSync(built).mtimeMs) return 'unchanged'
  await run(join(demo, 'node_modules/.bin/vite'), ['build'], { cwd: demo })
  return 'built'
}

function newest(directory) {
  const times = readdirSync(directory, { withFileTypes: true }).map((entry) => {
    if (entry.name === 'dist' || entry.name === 'node_modules' || entry.name.endsWith('.tsbuildinfo')) return 0
    const path = join(directory, entry.name)
    return entry.isDirectory() ? newest(path) : statSync(path).mtimeMs
  })
  return Math.max(0, ...times)
}

function lint(args = []) {
  return run(bin('oxlint'), ['--type-aware', '--deny-warnings', ...args])
}

/** Prints one line when the work is done; on a terminal also a line while it runs. */
async function step(title, work, describe = (outcome) => (typeof outcome === 'string' ? outcome : '')) {
  const startedAt = performance.now()
  const label = title.padEnd(14)
  if (process.stdout.isTTY) process.stdout.write(`${label}   …\r`)
  const outcome = await work()
  const took = `${((performance.now() - startedAt) / 1000).toFixed(1)} s`
  console.log(`${label} ${took.padStart(7)}  ${describe(outcome)}`.trimEnd())
  return outcome
}

/** Runs a command. With `show` its output goes to the terminal; otherwise it is printed only when the command fails. */
function run(command, args, { show = false, cwd = root } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio: show ? 'inherit' : ['ignore', 'pipe', 'pipe'] })
    const output = []
    child.stdout?.on('data', (chunk) => output.push(chunk))
    child.stderr?.on('data', (chunk) => output.push(chunk))
    // Ctrl-C in a terminal reaches the child too; a signal sent to this process alone has to be forwarded.
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
    const forward = (signal) => child.kill(signal)
    for (const signal of signals) process.on(signal, forward)
    child.on('error', reject)
    child.on('close', (code, signal) => {
      for (const each of signals) process.off(each, forward)
      if (code === 0) return resolve()
      reject(
        new CommandFailed(
          command,
          code ?? 128 + (signal === 'SIGINT' ? 2 : 15),
          show ? undefined : Buffer.concat(output).toString(),
        ),
      )
    })
  })
}

const [scriptName, ...scriptArgs] = process.argv.slice(2)
const script = scripts[scriptName]
if (!script) {
  console.error(`usage: npm run ${Object.keys(scripts).join('|')}`)
  process.exit(2)
}
process.chdir(root)
try {
  await script(scriptArgs)
} catch (error) {
  if (error.message || !error.expected) console.error(error.expected ? error.message : error)
  process.exit(error.exitCode ?? 1)
}
