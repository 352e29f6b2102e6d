import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { imageNames, Images } from './fixture/images.ts'
import { installed } from './fixture/installed.ts'
import { read, root } from './fixture/repository.ts'
import { succeeds } from './fixture/shell.ts'

const images = new Images(root)
const services = Object.entries(images.compose.services)
/** Has the schema of the Compose Specification that Docker Compose itself uses. */
const composeGo = 'github.com/compose-spec/compose-go/v2@v2.16.2'

/** The default of a setting. */
function defaultOf(name: string): number {
  return Number(new RegExp(`^#?${name}=(\\d+)`, 'm').exec(read('.env.example'))?.[1])
}

test.skipIf(!installed('the schema of Compose', 'go'))('docker-compose.yml conforms to the Compose Specification', async () => {
  const { Dir } = JSON.parse(await succeeds(`go mod download -json ${composeGo}`)) as { Dir: string }
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  addFormats.default(ajv)
  ajv.addFormat('duration', /^(\d+(\.\d+)?(us|ms|s|m|h))+$/)
  const validate = ajv.compile(JSON.parse(readFileSync(join(Dir, 'schema/compose-spec.json'), 'utf8')) as object)
  const compose = parse(read('docker-compose.yml'), { merge: true }) as unknown
  validate(compose)
  expect(validate.errors).toBe(null)
  expect(validate({ services: { edge: { stop_grace_period: 'soon', healtcheck: {} } } })).toBe(false)
})

describe.each(imageNames)('the image of %s', (image) => {
  test('is a stage of the Dockerfile, and is not run as root', () => {
    expect(images.compose.services[image]?.build?.target).toBe(image)
    expect(images.last(image, 'USER')).toBe('node')
    const copies = images.instructionsOf(image).filter(({ name }) => name === 'COPY')
    expect(copies.map(({ rest }) => rest)).toEqual([`--from=build /out/${image} ./`])
  })

  test('starts Node itself, so that SIGTERM reaches it', () => {
    expect(JSON.parse(images.last(image, 'CMD'))).toEqual(['node', '--enable-source-maps', 'dist/main.js'])
    expect(images.last(image, 'ENTRYPOINT')).toBe('')
  })
})

test('whatever another service waits for has a health check', () => {
  const awaited = services.flatMap(([, { depends_on = {} }]) =>
    Object.entries(depends_on).flatMap(([name, { condition }]) => (condition === 'service_healthy' ? [name] : [])),
  )
  expect(new Set(awaited)).toEqual(new Set(['mysql', 'redis', 'notify-api', 'realtime-gateway']))
  for (const name of awaited) {
    const { healthcheck, build } = images.compose.services[name] ?? {}
    expect(Boolean(healthcheck) || images.last(build?.target ?? '', 'HEALTHCHECK') !== '', name).toBe(true)
  }
})

test('each service has longer to stop than it takes', () => {
  // Its drain, and 10 s for the last responses.
  expect(images.graceMs('realtime-gateway')).toBeGreaterThan(1_000 * (defaultOf('DRAIN_SECONDS') + 10))
  expect(images.graceMs('notify-api')).toBeGreaterThan(1_000 * (defaultOf('SHUTDOWN_DELAY_SECONDS') + 10))
  expect(images.graceMs('mysql')).toBeGreaterThanOrEqual(60_000)
})

test('only the edge and the dashboards are reached from outside, and only from this machine', () => {
  const published = services.flatMap(([, { ports = [] }]) => ports)
  expect(published).not.toHaveLength(0)
  expect(published.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([])
  expect(services.filter(([, { ports }]) => ports).map(([name]) => name)).toEqual(['edge', 'prometheus', 'grafana'])
})

test('each variable of .env is documented, and each mounted file exists', () => {
  const compose = read('docker-compose.yml')
  const variables = [...compose.matchAll(/(?<!\$)\$\{(\w+)/g)].map(([, name = '']) => name)
  const documented = new Set([...read('.env.example').matchAll(/^#?([A-Z_]+)=/gm)].map(([, name]) => name))
  expect(variables.filter((name) => !documented.has(name))).toEqual([])
  const mounted = [...compose.matchAll(/(\.\/infra\/[^:\]"]+):/g)].map(([, path = '']) => path)
  expect(mounted).not.toHaveLength(0)
  expect(mounted.filter((path) => !existsSync(join(root, path)))).toEqual([])
})
