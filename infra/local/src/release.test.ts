import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { releaseBlockers, releaseNotes } from './release.ts'

const root = join(import.meta.dirname, '../../..')

/** A repository with a package.json and one package, committed. */
function repository({ version = '1.2.0' } = {}): { directory: string; git: (...args: string[]) => void } {
  const directory = mkdtempSync(join(tmpdir(), 'tidings-release-test-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const git = (...args: string[]) =>
    void execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@localhost', ...args], { cwd: directory })
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ version: '1.2.0' }))
  git('init', '--quiet')
  execFileSync('mkdir', ['-p', join(directory, 'packages/client')])
  writeFileSync(join(directory, 'packages/client/package.json'), JSON.stringify({ version }))
  git('add', '.')
  git('commit', '--quiet', '-m', 'all')
  return { directory, git }
}

test('all packages have the version of the root package.json', async () => {
  const blockers = await releaseBlockers(root)
  expect(blockers.filter((line) => line.includes('version'))).toEqual([])
})

test('the changelog has the form of Keep a Changelog: versions with dates, newest first, and only its headings', () => {
  const changelog = readFileSync(join(root, 'CHANGELOG.md'), 'utf8')
  const [unreleased, ...released] = Array.from(changelog.matchAll(/^## (.*)$/gm), ([, heading = '']) => heading)
  expect(unreleased).toBe('[Unreleased]')
  const dates = released.map(
    (heading) => /^\[\d+\.\d+\.\d+\] - (\d{4}-\d\d-\d\d)$/.exec(heading)?.[1] ?? `not a version: ${heading}`,
  )
  expect(dates).toEqual(dates.toSorted().toReversed())
  for (const section of changelog.split(/^## /m).slice(1)) {
    const kinds = Array.from(section.matchAll(/^### (.*)$/gm), ([, kind]) => kind)
    expect([...new Set(kinds)]).toEqual(kinds)
    for (const kind of kinds) expect(['Added', 'Changed', 'Deprecated', 'Removed', 'Fixed', 'Security']).toContain(kind)
  }
})

test('a clean repository may be released, also when its tag is on this commit', async () => {
  const { directory, git } = repository()
  expect(await releaseBlockers(directory)).toEqual([])
  git('tag', '-a', 'v1.2.0', '-m', '1.2.0')
  expect(await releaseBlockers(directory)).toEqual([])
})

test('changed and new files, another version of a package, and a tag on another commit are named', async () => {
  const { directory, git } = repository({ version: '1.1.0' })
  git('tag', 'v1.2.0')
  git('commit', '--quiet', '--allow-empty', '-m', 'more')
  writeFileSync(join(directory, 'new.txt'), '')
  expect(await releaseBlockers(directory)).toEqual([
    'not committed: ?? new.txt',
    'packages/client/package.json: version 1.1.0, but package.json has 1.2.0',
    expect.stringMatching(/^v1\.2\.0 is released already, as [0-9a-f]{40}: choose another version in package\.json$/),
  ])
})

test('the notes are the section of the version, or what is unreleased', () => {
  const { directory } = repository()
  const changelog = '# Changelog\n\n## [Unreleased]\n\n- b\n\n## [1.1.0] - 2026-01-01\n\n- a\n'
  writeFileSync(join(directory, 'CHANGELOG.md'), changelog)
  expect(releaseNotes(directory)).toEqual({ section: 'Unreleased', notes: '## [Unreleased]\n\n- b\n\n' })
  writeFileSync(join(directory, 'CHANGELOG.md'), changelog.replace('1.1.0', '1.2.0'))
  expect(releaseNotes(directory)).toEqual({ section: '1.2.0', notes: '## [1.2.0] - 2026-01-01\n\n- a\n' })
})
