import { version } from '@tidings/chassis'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import type { FastifySchema } from 'fastify'
import { z } from 'zod'
import { bodySchema, componentSchemas, jsonSchema, nameSchema } from './json-schema.ts'
import { type ProblemName, problems, problemTypes } from './problem.ts'

const FieldErrorDocument = nameSchema(
  'FieldError',
  z.object({ in: z.enum(['body', 'query', 'path', 'header']), pointer: z.string(), detail: z.string() }),
)
const ProblemDocument = nameSchema(
  'Problem',
  z.object({
    type: z.string().meta({ description: `${problemTypes}{name}` }),
    title: z.string(),
    status: z.int().meta({ format: 'int32' }),
    detail: z.string(),
    errors: z.array(FieldErrorDocument).optional(),
    taskStatus: z.string().optional(),
    textBytes: z.int().optional(),
    limit: z.string().optional(),
    requestId: z.string().meta({ description: 'As in the header X-Request-Id and in the log' }),
  }),
)

/** Problems with which any call may respond. */
const everywhere: readonly ProblemName[] = ['invalid', 'malformed', 'unauthorized', 'rate-limited', 'internal', 'unavailable']

/** A response with its description, for the `response` of a schema. */
interface ResponseSchema {
  readonly description: string
  readonly content: Readonly<Record<string, { readonly schema: z.ZodType }>>
}

/** Returns the problems of one call, for the `response` of its schema. */
export function problemResponses(...names: ProblemName[]): Record<number, ResponseSchema> {
  const all = [...new Set([...everywhere, ...names])]
  return Object.fromEntries(
    all.map((name) => {
      const { status } = problems[name]
      const same = all.filter((other) => problems[other].status === status)
      return [
        status,
        { description: `Problem ${same.join(', ')}`, content: { 'application/problem+json': { schema: ProblemDocument } } },
      ]
    }),
  )
}

/** Returns the security of a call for backends, for its schema. */
export const serviceSecurity = (scope: string) => [{ serviceToken: [scope] }]
/** The security of a call for members, for its schema. */
export const memberSecurity = [{ memberCookie: [] }, { memberToken: [] }]

const description = `JSON in UTF-8. Every refusal is \`application/problem+json\` (RFC 9457); its \`type\` is \`${problemTypes}\` and a name:

| name | status | when |
|---|---|---|
${Object.entries(problems)
  .map(([name, { status, when }]) => `| \`${name}\` | ${status} | ${when} |`)
  .join('\n')}

\`errors\` names each field: \`in\` is the part of the request, \`pointer\` (RFC 6901) the place in it.`

/**
 * Serves OpenAPI 3.1, generated from the schemas of the routes: the document at `/openapi.json` and a page to try the calls at `/docs`.
 * Call this before the routes are added.
 */
export async function openDocument(app: FastifyInstance, cookie: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Tidings notify-api', version, description, license: { name: 'MIT', identifier: 'MIT' } },
      servers: [{ url: '/', description: 'The server of this document' }],
      components: {
        securitySchemes: {
          serviceToken: {
            type: 'http',
            scheme: 'bearer',
            bearerFormat: 'JWT',
            description: 'Token of a backend, with the scope of the call',
          },
          memberCookie: {
            type: 'apiKey',
            in: 'cookie',
            name: cookie,
            description: "A member's token, sent by a browser; with an allowed Origin where the call changes state",
          },
          memberToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: "A member's token, sent by an app" },
        },
      },
    },
    transform: ({ schema, url }) => ({ schema: documentedRoute(schema as RouteSchema, url), url }),
    transformObject: (generated) => {
      if (!('openapiObject' in generated)) return generated.swaggerObject
      const { openapiObject } = generated
      Object.assign(openapiObject.components ?? {}, { schemas: componentSchemas(openapiObject.paths) })
      return openapiObject
    },
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    logLevel: 'silent',
    staticCSP: true,
    // The page must also work over plain HTTP, on a developer's machine.
    transformStaticCSP: (policy) => policy.replace('upgrade-insecure-requests;', ''),
  })
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger())
}

/** The schema of a route as zod has it. */
interface RouteSchema extends FastifySchema {
  readonly body?: z.ZodType
  readonly params?: z.ZodType
  readonly querystring?: z.ZodType
  readonly headers?: z.ZodType
  readonly response?: Readonly<Record<string, z.ZodType | ResponseSchema>>
}

/** Returns the schema of a route with JSON Schemas in place of those of zod. The first segment of its path is its tag. */
function documentedRoute(schema: RouteSchema, url: string): FastifySchema {
  const { body, params, querystring, headers, response, ...rest } = schema
  if (rest.hide) return rest
  return {
    ...rest,
    tags: [url.split('/')[1] ?? ''],
    ...(body && { body: bodySchema(body) }),
    ...(params && { params: jsonSchema(params) }),
    ...(querystring && { querystring: jsonSchema(querystring) }),
    ...(headers && { headers: jsonSchema(headers) }),
    response: Object.fromEntries(Object.entries(response ?? {}).map(([status, one]) => [status, documentedResponse(one)])),
  }
}

function documentedResponse(response: z.ZodType | ResponseSchema) {
  const { description: text, content } =
    response instanceof z.ZodType ? { description: 'Success', content: { 'application/json': { schema: response } } } : response
  if (response instanceof z.ZodNull) return { description: text, type: 'null' }
  const bodies = Object.entries(content).map(([type, { schema }]) => [type, { schema: bodySchema(schema) }])
  return { description: text, content: Object.fromEntries(bodies) as object }
}
