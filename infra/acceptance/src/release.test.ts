import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { release, spawnOwned } from '@tidings/local'
import { expect, onTestFinished, test } from 'vitest'

const root = join(import.meta.dirname, '../../..')
const images = ['notify-api', 'realtime-gateway', 'edge']

test('a release has packages, images as tarballs, notes and checksums; what is not committed is refused', {
  timeout: 300_000,
}, async () => {
  const work = mkdtempSync(join(tmpdir(), 'tidings-release-'))
  onTestFinished(() => rmSync(work, { recursive: true, force: true }))
  const [clone, out] = [join(work, 'clone'), join(work, 'out')]
  execFileSync('git', ['clone', '--quiet', '--shared', '--no-tags', root, clone])
  const steps: string[] = []
  const make = () =>
    release(clone, out, (title, run) => {
      steps.push(title)
      return run()
    })
  writeFileSync(join(clone, 'left-over.ts'), '')
  await expect(make()).rejects.toThrow('not committed: ?? left-over.ts')
  expect(steps).toEqual(['repository'])

  rmSync(join(clone, 'left-over.ts'))
  const files = await make()
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  const packages = ['client', 'producer', 'protocol'].map((name) => `tidings-${name}-${version}.tgz`)
  const tarballs = images.map((name) => `tidings-${name}-${version}.tar.gz`)
  expect(readdirSync(out)).toEqual(expect.arrayContaining([...packages, ...tarballs, 'NOTES.md', 'SHA256SUMS']))
  expect(files.toSorted()).toEqual(
    readdirSync(out)
      .map((file) => join(out, file))
      .toSorted(),
  )
  const checked = execFileSync('sha256sum', ['--check', 'SHA256SUMS'], { cwd: out, encoding: 'utf8' })
  expect(checked.split('\n').filter((line) => line.endsWith(': OK'))).toHaveLength(files.length - 1)

  // Each image as the Dockerfile assembles it: complete, so that it gets as far as its settings.
  const dockerfile = readFileSync(join(root, 'Dockerfile'), 'utf8')
  for (const [index, image] of images.entries()) {
    expect(dockerfile).toContain(`pnpm --filter @tidings/${image} deploy --prod `)
    execFileSync('tar', ['-xzf', join(out, tarballs[index] ?? ''), '-C', work])
    const cwd = join(work, `tidings-${image}-${version}`)
    const command = { name: image, command: process.execPath, args: ['dist/main.js'], cwd, env: { PORT: 'none' } }
    const started = spawnOwned(command)
    expect(await started.exited, image).toEqual({ code: 1, signal: null })
    expect(started.logs.join('\n')).toContain('PORT')
  }
})
