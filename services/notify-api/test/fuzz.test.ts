import { localOrigin, memberToken, newVapidVariables, serviceToken } from '@tidings/local'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ApiResponse, call, type NotifyApi, openStack, type Stack } from './fixture/notify-api.ts'
import { broken, type Schema, valid } from './fixture/schema-arbitrary.ts'

interface Operation {
  readonly operationId?: string
  readonly tags?: readonly string[]
  readonly security?: readonly Readonly<Record<string, unknown>>[]
  readonly parameters?: readonly {
    readonly in: 'path' | 'query' | 'header'
    readonly name: string
    readonly required?: boolean
    readonly schema: Schema
  }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> }
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, { readonly schema: object }>> }>>
}
interface OpenApi {
  readonly info: { readonly license?: unknown }
  readonly servers?: unknown
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}
interface Sent {
  readonly path: Readonly<Record<string, unknown>>
  readonly query: Readonly<Record<string, unknown>>
  readonly header: Readonly<Record<string, unknown>>
  readonly body: unknown
}
interface Call {
  readonly name: string
  readonly method: string
  readonly url: string
  readonly operation: Operation
}

const json = 'application/json'
/** Every run sends the same requests, unless TIDINGS_SEED is set. */
const seed = Number(process.env['TIDINGS_SEED'] ?? 20_261_122)
const runs = Number(process.env['TIDINGS_FUZZ_RUNS'] ?? 15)

let stack: Stack
let api: NotifyApi
let document: OpenApi
let calls: readonly Call[]
const ajv = new Ajv2020({ strict: false, logger: false })
formats.default(ajv)
const validators = new Map<object, ValidateFunction>()

beforeAll(async () => {
  stack = await openStack('fuzz')
  api = await stack.start({
    ...newVapidVariables(),
    WEBHOOK_URL: 'http://127.0.0.1:1/',
    WEBHOOK_SECRET: `whsec_${Buffer.alloc(32, 'x').toString('base64')}`,
    MEMBER_REQUESTS_PER_MINUTE: '1000000',
  })
  document = JSON.parse((await call(`${api.url}/openapi.json`, {})).text) as OpenApi
  calls = Object.entries(document.paths).flatMap(([url, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({
      name: `${method.toUpperCase()} ${url}`,
      method: method.toUpperCase(),
      url,
      operation,
    })),
  )
})
afterAll(() => stack.close())

/**
 * Returns a schema of the document with the schemas to which it refers. An object has no other properties than those: clients accept
 * new ones, but each is documented.
 */
function resolved<Type extends object>(schema: Type): Type {
  const replace = (_key: string, value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value
    const name = '$ref' in value && String(value.$ref).split('/').at(-1)
    if (name) return resolved(document.components.schemas[name] ?? {})
    return 'properties' in value ? { ...value, additionalProperties: false } : value
  }
  return JSON.parse(JSON.stringify(schema), replace) as Type
}

/** Returns the schema of the JSON body of a call. */
function bodyOf({ operation }: Call): Schema | undefined {
  const schema = operation.requestBody?.content[json]?.schema
  return schema && resolved(schema)
}

/** Returns the calls with a JSON body or none. Uploads have tests of their own. */
function jsonCalls(): readonly Call[] {
  return calls.filter(({ operation }) => !operation.requestBody || json in operation.requestBody.content)
}

function requestTo(one: Call): fc.Arbitrary<Sent> {
  const { operation } = one
  const part = (place: string) => {
    const parameters = (operation.parameters ?? []).filter((parameter) => parameter.in === place)
    return fc.record(Object.fromEntries(parameters.map(({ name, schema }) => [name, valid(schema)])), {
      requiredKeys: parameters.filter(({ required }) => required).map(({ name }) => name),
    })
  }
  const schema = bodyOf(one)
  return fc.record({
    path: part('path'),
    query: part('query'),
    header: part('header'),
    body: schema ? valid(schema).map(withWay) : fc.constant(undefined),
  })
}

/** Chooses a way for an `escalate` that has none: that one of them is required is not in the document. */
function withWay(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || !('escalate' in body)) return body
  const { escalate } = body
  if (typeof escalate !== 'object' || escalate === null) return body
  return Object.values(escalate).includes(true) ? body : { ...body, escalate: { ...escalate, push: true } }
}

function send({ method, url, operation }: Call, { path, query, header, body }: Sent, contentType = json): Promise<ApiResponse> {
  const filled = url.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(path[name])))
  const search = new URLSearchParams(
    Object.fromEntries(Object.entries(query).map(([name, value]) => [name, String(value)])),
  ).toString()
  const isMember =
    operation.security?.some((scheme) => 'memberCookie' in scheme) &&
    !operation.security.some((scheme) => 'serviceToken' in scheme)
  const caller = isMember
    ? { cookie: `access_token=${memberToken(1)}`, origin: localOrigin }
    : { authorization: `Bearer ${serviceToken()}` }
  const writes = method === 'POST' || operation.requestBody !== undefined
  const text = typeof body === 'string' && contentType !== json ? body : JSON.stringify(body)
  return call(`${api.url}${filled}${search ? `?${search}` : ''}`, {
    method,
    headers: { ...caller, ...(writes && { 'content-type': contentType }), ...(header as Record<string, string>) },
    ...(writes && text !== undefined && { body: text }),
  })
}

/** Expects a response that the document describes, without a server error; a refusal must name the place. */
function expectDocumented({ name, operation }: Call, response: ApiResponse, sent: unknown): void {
  const about = `${name} ${response.status} ${response.text} to ${JSON.stringify(sent)}`
  expect(response.status, about).toBeLessThan(500)
  if (response.status === 204) {
    expect([operation.responses[204], response.text], about).toEqual([expect.anything(), ''])
    return
  }
  const type = response.headers.get('content-type')?.split(';')[0] ?? ''
  const schema = operation.responses[response.status]?.content?.[type]?.schema
  expect(schema, `${about}: not in the document`).toBeDefined()
  const validate = validators.get(schema ?? {}) ?? ajv.compile(resolved(schema ?? {}))
  validators.set(schema ?? {}, validate)
  expect(validate(response.body), `${about}: ${JSON.stringify(validate.errors)}`).toBe(true)
  if (response.status < 400) return
  expect(type, about).toBe('application/problem+json')
  expect((response.body['errors'] as unknown[] | undefined)?.length ?? 0, about).toBeGreaterThan(0)
}

test('the document names every call and every object, and its patterns suit other languages than JavaScript', async () => {
  const ids = calls.map(({ name, operation }) => [name, operation.operationId, operation.tags?.[0]])
  for (const [name, operationId, tag] of ids)
    expect([name, operationId, tag]).toEqual([name, expect.any(String), expect.any(String)])
  expect(new Set(ids.map(([, operationId]) => operationId)).size).toBe(ids.length)
  expect(document.info.license).toEqual({ name: 'MIT', identifier: 'MIT' })
  expect(document.servers).toEqual([expect.objectContaining({ url: '/' })])
  // A body is a reference. An object without a name is generated as `InlineObject1`, or not at all: export its schema from the protocol.
  for (const { name, operation } of calls) {
    for (const { content = {} } of [operation.requestBody ?? {}, ...Object.values(operation.responses)])
      for (const { schema } of Object.values(content))
        if (!('type' in schema)) expect([name, schema]).toEqual([name, { $ref: expect.any(String) }])
  }
  for (const [name, schema] of Object.entries(document.components.schemas)) {
    const { properties, ...rest } = schema
    const inner = JSON.stringify([rest, ...Object.values(properties ?? {})])
    expect(inner, `${name} has an object without a name: export its schema from the protocol`).not.toContain('"properties"')
  }
  expect(JSON.stringify(document)).not.toMatch(/\\\\[pP]\{|"format":"(?!uuid|int32|int64|date-time)/)
})

test('the document describes every call', () => {
  expect(calls.map(({ name }) => name)).toEqual(
    expect.arrayContaining([
      'POST /notification/send',
      'POST /notification/broadcast',
      'GET /notification',
      'GET /notification/unread-count',
      'POST /notification/{id}/read',
      'POST /notification/read-all',
      'POST /session/revoke',
    ]),
  )
})

test('a request that the document allows is never refused as invalid', async () => {
  for (const one of jsonCalls()) {
    await fc.assert(
      fc.asyncProperty(requestTo(one), async (sent) => {
        const response = await send(one, sent)
        expectDocumented(one, response, sent)
        // 429: cancels of tasks that do not exist are few for each member.
        expect([200, 201, 202, 204, 404, 409, 422, 429], `${one.name} ${response.text} to ${JSON.stringify(sent)}`).toContain(
          response.status,
        )
      }),
      { numRuns: runs, seed, endOnFailure: true },
    )
  }
}, 180_000)

test('a request that is invalid in one place is refused with the name of that place', async () => {
  for (const one of jsonCalls()) {
    const places = breakable(one)
    if (places.length === 0) continue
    await fc.assert(
      fc.asyncProperty(requestTo(one), fc.constantFrom(...places), fc.gen(), async (sent, { part, name, schema }, generate) => {
        const value = generate(broken, schema)
        if (ajv.validate(schema, part === 'body' ? value : read(schema, value))) return
        if (part === 'header' && String(value).includes('\0')) return // no client can send it
        const response = await send(one, { ...sent, [part]: { ...(sent[part] as object), [name]: value } })
        expectDocumented(one, response, { part, name, value })
        const fields = (response.body['errors'] as { in: string; pointer: string }[]).map(
          (error) => `${error.in} ${error.pointer.split('/')[1]}`,
        )
        expect([400, 413], response.text).toContain(response.status)
        expect(fields, response.text).toContain(`${part} ${name}`)
      }),
      { numRuns: 2 * runs, seed, endOnFailure: true },
    )
  }
}, 180_000)

test('unknown fields, other bodies and other content types are refused with a documented problem', async () => {
  for (const one of jsonCalls().filter(({ method }) => method === 'POST')) {
    await fc.assert(
      fc.asyncProperty(
        requestTo(one),
        fc.oneof(fc.jsonValue(), fc.string()),
        fc.string({ minLength: 1, maxLength: 30 }),
        async (sent, anything, name) => {
          expectDocumented(one, await send(one, { ...sent, body: anything }), anything)
          if (name !== '__proto__' && !(name in Object.prototype)) {
            const unknown = { ...(sent.body as object), [`unknown ${name}`]: 1 }
            expectDocumented(one, await send(one, { ...sent, body: unknown }), unknown)
          }
          const other = await send(one, { ...sent, body: '<a/>' }, 'application/xml')
          expect(other, `${one.name} ${other.text}`).toMatchObject({ status: 415 })
          expectDocumented(one, other, 'application/xml')
        },
      ),
      { numRuns: runs, seed, endOnFailure: true },
    )
  }
}, 180_000)

/** Returns a value outside the body as the service reads it: everything there is text. */
function read({ type }: Schema, value: unknown): unknown {
  return type === 'integer' || type === 'number' ? Number(String(value)) : String(value)
}

/** Returns the named places of a request that have a schema. */
function breakable(one: Call) {
  const { properties, oneOf = [] } = bodyOf(one) ?? {}
  const body: Record<string, Schema> = Object.assign({}, properties, ...oneOf.map((branch) => branch.properties))
  return [
    ...(one.operation.parameters ?? []).map(({ in: part, name, schema }) => ({ part, name, schema })),
    ...Object.entries(body).map(([name, schema]) => ({ part: 'body' as const, name, schema })),
  ].filter(({ part, name }) => !(part === 'header' && name !== 'idempotency-key'))
}
