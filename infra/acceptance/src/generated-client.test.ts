import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDatabase, type RedisServer, type ServiceProcess, serviceToken, startRedis, startService } from '@tidings/local'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { installed } from './fixture/installed.ts'
import { root } from './fixture/repository.ts'
import { jars, npmPackages, pythonPackages, run } from './fixture/tool.ts'

// Clients that generators make of /openapi.json are compiled, and send to a running notify-api.
const program = join(root, 'infra/acceptance/program')
const timeout = 240_000
const python = installed('openapi-spec-validator and openapi-python-client', 'python3', 'pip3')

let directory: string
let redis: RedisServer
let api: ServiceProcess
/** The file with the document. */
let document: string
let env: Record<string, string>

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tidings-client-'))
  redis = await startRedis()
  const databaseUrl = await createDatabase(inject('databaseServerUrl'), 'acceptance_client')
  api = await startService('notify-api', { MYSQL_URL: databaseUrl, REDIS_URL: redis.url })
  document = join(directory, 'openapi.json')
  writeFileSync(document, await (await fetch(`${api.url}/openapi.json`)).text())
  env = { TIDINGS_URL: api.url, TIDINGS_TOKEN: serviceToken() }
})
afterAll(async () => {
  await api.kill()
  await redis.kill()
  rmSync(directory, { recursive: true, force: true })
})

/** Expects what the program of each language prints after it has used all calls. */
function expectUse(output: string): void {
  expect(JSON.parse(output.split('\n').at(-1) ?? '')).toEqual({
    one: expect.any(Number),
    several: [8, 'auth0|a1'],
    problem: [{ in: 'body', pointer: '#/message', detail: 'must not be empty' }],
    textBytes: 5,
    ended: 'succeeded',
  })
}

test('redocly accepts the document', { timeout }, async () => {
  const tools = await npmPackages('redocly', '@redocly/cli@2.77.0')
  const quiet = { REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' }
  const linted = await run(join(tools, 'node_modules/.bin/redocly'), ['lint', document], { cwd: directory, env: quiet })
  expect(linted).toContain('Your API description is valid')
  expect(linted).not.toMatch(/\d warning/)
})

test.skipIf(!python)('openapi-spec-validator accepts the document', { timeout }, async () => {
  const PYTHONPATH = await pythonPackages('validator', 'openapi-spec-validator==0.9.0')
  expect(await run('python3', ['-m', 'openapi_spec_validator', document], { env: { PYTHONPATH } })).toMatch(/: OK$/)
})

test('openapi-typescript with openapi-fetch', { timeout }, async () => {
  const tools = await npmPackages('typescript', 'openapi-typescript@7.13.0', 'openapi-fetch@0.17.0')
  const out = join(directory, 'typescript')
  mkdirSync(out)
  symlinkSync(join(tools, 'node_modules'), join(out, 'node_modules'))
  writeFileSync(join(out, 'package.json'), '{"type":"module"}')
  writeFileSync(join(out, 'client.ts'), typescriptClient)
  await run(join(tools, 'node_modules/.bin/openapi-typescript'), [document, '-o', join(out, 'schema.d.ts')])
  const flags = ['--strict', '--target', 'es2022', '--module', 'nodenext', '--types', '', '--lib', 'es2022,dom']
  await run(join(root, 'node_modules/.bin/tsc'), [...flags, 'client.ts'], { cwd: out })
  expectUse(await run(process.execPath, ['client.js'], { cwd: out, env }))
})

const typescriptClient = `
import createClient from 'openapi-fetch'
import type { paths } from './schema.d.ts'

declare const process: { env: Record<string, string> }
const { TIDINGS_URL: baseUrl, TIDINGS_TOKEN: token } = process.env
const client = createClient<paths>({ baseUrl, headers: { authorization: \`Bearer \${token}\` } })
const content = { message: 'hello', redirectPath: '/' }

const one = await client.POST('/notification/send', {
  params: { header: { 'idempotency-key': 'typescript-1' } },
  body: { memberId: 7, ...content },
})
const several = await client.POST('/notification/send', { body: { memberIds: [8, 'auth0|a1'], ...content } })
const refused = await client.POST('/notification/send', { body: { memberId: 7, ...content, message: '' } })
const task = await client.POST('/task', { body: { memberId: 7, kind: 'chat' } })
const path = { id: task.data!.taskId }
const accepted = await client.POST('/task/{id}/event', { params: { path, query: { offset: 0 } }, body: { type: 'append', text: 'hello' } })
const ended = await client.POST('/task/{id}/finish', { params: { path }, body: { status: 'succeeded' } })
console.log(JSON.stringify({
  one: one.data?.notificationId,
  several: several.data?.notifications?.map(({ memberId }) => memberId),
  problem: refused.error?.errors,
  textBytes: accepted.data?.textBytes,
  ended: ended.data?.status,
}))
`

test.skipIf(!python)('openapi-python-client', { timeout }, async () => {
  const tools = await pythonPackages('client', 'openapi-python-client==0.29.1')
  const PYTHONPATH = [tools, directory].join(':')
  const args = ['--path', document, '--output-path', join(directory, 'tidings_client'), '--meta', 'none']
  const generated = await run('python3', ['-m', 'openapi_python_client', 'generate', ...args], { env: { PYTHONPATH } })
  // It has no bodies that are streams of text: it leaves out this call alone.
  expect([...generated.matchAll(/^(?:WARNING|ERROR) .*$/gm)].map(([line]) => line)).toEqual([
    'WARNING parsing POST /task/{id}/stream within task. Endpoint will not be generated.',
  ])
  expectUse(await run('python3', [join(program, 'generated_client.py')], { env: { ...env, PYTHONPATH } }))
})

test.skipIf(!installed('the client of openapi-generator', 'java', 'javac'))(
  'openapi-generator for Java',
  { timeout },
  async () => {
    const [generator, libraries] = await Promise.all([
      jars('generator', 'org.openapitools:openapi-generator-cli:7.25.0'),
      jars(
        'client',
        'com.fasterxml.jackson.core:jackson-core:2.21.5',
        'com.fasterxml.jackson.core:jackson-annotations:2.21',
        'com.fasterxml.jackson.core:jackson-databind:2.21.5',
        'com.fasterxml.jackson.datatype:jackson-datatype-jsr310:2.21.5',
        'org.openapitools:jackson-databind-nullable:0.2.11',
        'com.google.code.findbugs:jsr305:3.0.2',
        'jakarta.annotation:jakarta.annotation-api:1.3.5',
      ),
    ])
    const out = join(directory, 'java')
    const parts = 'apis,models,supportingFiles,apiTests=false,modelTests=false,apiDocs=false,modelDocs=false'
    const args = ['generate', '-g', 'java', '--library', 'native', '-i', document, '-o', out, '--global-property', parts]
    await run('java', ['-jar', join(generator, 'openapi-generator-cli-7.25.0.jar'), ...args])
    const sources = join(out, 'src/main/java')
    cpSync(join(program, 'GeneratedClient.java'), join(sources, 'GeneratedClient.java'))
    const classPath = [join(libraries, '*'), join(out, 'classes')].join(':')
    // The compiler finds the generated classes that the program uses.
    const flags = ['-nowarn', '-cp', classPath, '-sourcepath', sources, '-d', join(out, 'classes')]
    await run('javac', [...flags, join(sources, 'GeneratedClient.java')])
    expectUse(await run('java', ['-cp', classPath, 'GeneratedClient'], { env }))
  },
)
