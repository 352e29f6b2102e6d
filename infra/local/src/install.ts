import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { findProgram } from './program.ts'
import { Refusal } from './refusal.ts'

interface Requirement {
  readonly programs: readonly string[]
  readonly debian: string
  /** System service in Debian's package. */
  readonly unit?: string
  readonly fedora: string
  readonly macos: string
}

const database: Requirement = {
  programs: ['mariadbd', 'mysqld'],
  debian: 'mariadb-server',
  unit: 'mariadb',
  fedora: 'mariadb-server',
  macos: 'mariadb',
}
const redis: Requirement = {
  programs: ['redis-server', 'valkey-server'],
  debian: 'redis-server',
  unit: 'redis-server',
  fedora: 'valkey',
  macos: 'redis',
}
const browser: Requirement = {
  programs: ['chromium', 'chromium-browser', 'google-chrome', 'Google Chrome'],
  debian: 'chromium',
  fedora: 'chromium',
  macos: '--cask google-chrome',
}

const loadBalancer: Requirement = { programs: ['nginx'], debian: 'nginx-light', unit: 'nginx', fedora: 'nginx', macos: 'nginx' }
/** Checks alerts and scrape configurations. */
const alertChecker: Requirement = {
  programs: ['promtool'],
  debian: 'prometheus',
  unit: 'prometheus',
  fedora: 'golang-github-prometheus',
  macos: 'prometheus',
}

/** Installs the servers of `npm start` that are missing. */
export function installForStart({ ownDatabase, ownRedis }: { ownDatabase: boolean; ownRedis: boolean }): string {
  return install([...(ownDatabase ? [database] : []), ...(ownRedis ? [redis] : [])])
}

export function installForTests(): string {
  return install([database, redis, browser, loadBalancer, alertChecker])
}

/** Returns the path of the browser for page tests; throws a {@link Refusal} when none is installed. */
export function findBrowser(): string {
  const path = findProgram(...browser.programs)
  if (!path) throw new Refusal(howToInstall([browser]))
  return path
}

/** Installs missing programs without starting their system services: servers run as child processes. */
function install(requirements: readonly Requirement[]): string {
  const missing = requirements.filter(({ programs }) => !findProgram(...programs))
  if (missing.length === 0) return 'installed'
  const sudo = process.getuid?.() === 0 ? [] : ['sudo', '-n']
  const allowed = sudo.length === 0 || spawnSync('sudo', ['-n', 'true']).status === 0
  if (!findProgram('apt-get') || !allowed) throw new Refusal(howToInstall(missing))
  const packages = missing.map(({ debian }) => debian)
  // Neither systemd nor sysvinit starts the service of a new package.
  const apt = [...sudo, 'env', 'DEBIAN_FRONTEND=noninteractive', 'SYSTEMD_OFFLINE=1', 'RUNLEVEL=1', 'apt-get', '-q']
  runOrThrow([...apt, 'update'])
  runOrThrow([...apt, 'install', '-y', '--no-install-recommends', ...packages])
  const units = missing.flatMap(({ unit }) => unit ?? [])
  if (units.length > 0 && existsSync('/run/systemd/system')) runOrThrow([...sudo, 'systemctl', 'disable', ...units])
  return `apt-get installed ${packages.join(', ')}`
}

function runOrThrow([command = '', ...args]: readonly string[]): void {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Refusal(`${[command, ...args].join(' ')} failed\n${stdout}${stderr}`)
}

function howToInstall(missing: readonly Requirement[]): string {
  return [
    `Not installed: ${missing.map(({ programs }) => programs.join(' or ')).join(', ')}. Install:`,
    `  Debian, Ubuntu: sudo apt-get install --no-install-recommends ${missing.map(({ debian }) => debian).join(' ')}`,
    `  Fedora:         sudo dnf install ${missing.map(({ fedora }) => fedora).join(' ')}`,
    `  macOS:          ${missing.map(({ macos }) => `brew install ${macos}`).join(' && ')}`,
    'or set MYSQL_URL and REDIS_URL to servers of your own.',
  ].join('\n')
}
