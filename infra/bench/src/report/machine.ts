import { execFileSync, spawnSync } from 'node:child_process'
import { cpus, loadavg, release, totalmem } from 'node:os'
import { findProgram } from '@tidings/local'
import { pinned } from '../measure/pin.ts'
import { root } from '../system/build.ts'

const bytesPerGib = 2 ** 30

/** Where a run took place. */
export interface Machine {
  readonly processor: string
  readonly cores: number
  readonly memoryGib: number
  readonly kernel: string
  readonly node: string
  readonly database: string
  readonly redis: string
  /** Of the repository, with `+` when files have changed since. */
  readonly commit: string
  /** Whether the compared servers had a core of their own. */
  readonly pinned: boolean
  /** Of the minute before the run: other work makes figures worse. */
  readonly loadBefore: number
}

export function describeMachine(): Machine {
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGib: Math.round(totalmem() / bytesPerGib),
    kernel: release(),
    node: process.version,
    database: versionOf('mariadbd', 'mysqld'),
    redis: versionOf('redis-server', 'valkey-server'),
    commit: commit(),
    pinned,
    loadBefore: loadavg()[0] ?? Number.NaN,
  }
}

function versionOf(...programs: string[]): string {
  const program = findProgram(...programs)
  if (!program) return 'none'
  const text = spawnSync(program, ['--version'], { encoding: 'utf8' }).stdout
  return `${program.split('/').at(-1)} ${/(?:v=|Ver )(\S+)/.exec(text)?.[1] ?? text.trim()}`
}

function commit(): string {
  try {
    return `${git('rev-parse', '--short', 'HEAD')}${git('status', '--porcelain') === '' ? '' : '+'}`
  } catch {
    return 'unknown'
  }
}

function git(...args: string[]): string {
  return execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
}
