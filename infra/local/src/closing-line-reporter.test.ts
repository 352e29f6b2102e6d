import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'

const home = join(import.meta.dirname, '..')

/** Runs these test files in a vitest of their own and returns the last line of the output and the exit code. */
function closingLine(files: Record<string, string>): [string | undefined, number | null] {
  mkdirSync(join(home, '.local'), { recursive: true })
  const directory = mkdtempSync(join(home, '.local/reporter-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const config = `
    import { ClosingLineReporter } from '${join(home, 'src/closing-line-reporter.ts')}'
    export default { test: { reporters: ['default', new ClosingLineReporter()] } }`
  writeFileSync(join(directory, 'vitest.config.ts'), config)
  for (const [name, body] of Object.entries(files))
    writeFileSync(join(directory, `${name}.test.ts`), `import { beforeAll, expect, test } from 'vitest'\n${body}`)
  const vitest = join(home, 'node_modules/vitest/vitest.mjs')
  const { stdout, status } = spawnSync(process.execPath, [vitest, 'run', '--root', directory], { encoding: 'utf8' })
  return [stdout.trimEnd().split('\n').at(-1), status]
}

test('counts passed tests', () => {
  expect(closingLine({ good: 'test("a", () => {}); test("b", () => {})' })).toEqual(['2 passed, 0 failed', 0])
})

test('counts failed and skipped tests', () => {
  const body = 'test("a", () => {}); test("b", () => expect(1).toBe(2)); test.skip("c", () => {})'
  expect(closingLine({ mixed: body })).toEqual(['1 passed, 1 failed, 1 skipped', 1])
})

test('counts failures outside a test: a file, a hook, an unhandled rejection', () => {
  const files = {
    file: 'throw new Error("no tests here")',
    hook: 'beforeAll(() => { throw new Error("hook") }); test("a", () => {})',
    stray: 'test("a", () => { void Promise.reject(new Error("stray")) })',
  }
  expect(closingLine(files)).toEqual(['1 passed, 3 failed, 1 skipped', 1])
})
