import type { FastifySchemaCompiler } from 'fastify'
import type { z } from 'zod'
import type { FieldError } from './problem.ts'
import { InvalidPart } from './problem-handler.ts'

const parts: Readonly<Record<string, FieldError['in']>> = {
  body: 'body',
  querystring: 'query',
  params: 'path',
  headers: 'header',
}

/** What comes in is parsed once, by the schema of its route. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> = ({ schema, httpPart }) => {
  const part = parts[httpPart ?? 'body'] ?? 'body'
  return (data) => {
    const result = schema.safeParse(data)
    return result.success ? { value: result.data } : { error: new InvalidPart(part, result.error.issues) }
  }
}
