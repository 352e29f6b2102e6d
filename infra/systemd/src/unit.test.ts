import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findProgram } from '@tidings/local'
import { Variables as ApiVariables } from '@tidings/notify-api/config'
import { Variables as GatewayVariables } from '@tidings/realtime-gateway/config'
import { expect, onTestFinished, test } from 'vitest'

const units = [
  ['tidings-notify-api', 'notify-api', ApiVariables.shape],
  ['tidings-gateway', 'realtime-gateway', GatewayVariables.shape],
] as const
const analyze = findProgram('systemd-analyze')

test.each(units)('%s@ sets variables that the service reads, and ports from the instance', (unit, service, shape) => {
  const text = readFileSync(join(import.meta.dirname, `../${unit}@.service`), 'utf8').replaceAll('%i', '07')
  const [, environment = ''] = /^Environment=(.*)$/m.exec(text) ?? []
  const set = Object.fromEntries(environment.split(' ').map((each) => each.split('=') as [string, string]))
  expect(Object.keys(shape)).toEqual(expect.arrayContaining(Object.keys(set)))
  const ports = [set['PORT'], set['OPS_PORT']].map(Number)
  for (const port of ports) expect(port % 100).toBe(7)
  expect(text).toContain(`WorkingDirectory=/opt/tidings/${service}\n`)
})

if (!analyze) console.log('skipped: systemd-analyze verify, which is not installed')
test.skipIf(!analyze).each(units)('systemd accepts %s@', (unit) => {
  const directory = mkdtempSync(join(tmpdir(), 'tidings-unit-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const file = join(directory, `${unit}@01.service`)
  const text = readFileSync(join(import.meta.dirname, `../${unit}@.service`), 'utf8')
  writeFileSync(file, text.replace('/usr/bin/node', process.execPath))
  const { status, stderr } = spawnSync(analyze ?? '', ['verify', '--man=no', file], { encoding: 'utf8' })
  expect([status, stderr.split('\n').filter((line) => line.includes(unit))]).toEqual([0, []])
})
