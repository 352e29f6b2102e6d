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
    // Headers stay as they came: given others, the request would make a copy of all each time one is read.
    if (result.success && part === 'header') return true
    return result.success ? { value: result.data } : { error: new InvalidPart(part, result.error.issues) }
  }
}
