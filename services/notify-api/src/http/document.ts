import { version } from '@tidings/chassis'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { jsonSchemaTransform } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { type ProblemName, problems, problemTypes } from './problem.ts'

const ProblemDocument = z.object({
  type: z.string().meta({ description: `${problemTypes}{name}` }),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  errors: z
    .array(z.object({ in: z.enum(['body', 'query', 'path', 'header']), pointer: z.string(), detail: z.string() }))
    .optional(),
  taskStatus: z.string().optional(),
  textBytes: z.int().optional(),
  limit: z.string().optional(),
  requestId: z.string().meta({ description: 'As in the header X-Request-Id and in the log' }),
})

const problemResponse = {
  description: 'A problem (RFC 9457)',
  content: { 'application/problem+json': { schema: ProblemDocument } },
}

/** Problems with which any call may respond. */
const everywhere: readonly ProblemName[] = ['invalid', 'malformed', 'unauthorized', 'rate-limited', 'internal', 'unavailable']

/** Returns the problems of one call, for the `response` of its schema. */
export function problemResponses(...names: ProblemName[]): Record<number, typeof problemResponse> {
  const statuses = new Set([...everywhere, ...names].map((name) => problems[name].status))
  return Object.fromEntries([...statuses].map((status) => [status, problemResponse]))
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
      info: { title: 'Tidings notify-api', version, description },
      components: {
        securitySchemes: {
          serviceToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
          memberCookie: { type: 'apiKey', in: 'cookie', name: cookie },
          memberToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
        },
      },
    },
    transform: jsonSchemaTransform,
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
