import type { FastifyInstance, FastifySchemaCompiler } from 'fastify'
import type { z } from 'zod'
import { pathOfForbiddenKey } from './forbidden-key.ts'
import { refuseInexactNumber } from './inexact-number.ts'
import { issueDetail } from './issue-detail.ts'
import type { FieldError } from './problem.ts'
import { InvalidPart } from './problem-handler.ts'

/** Options of `safeParse` for what a client sends. */
export const detailed = { error: issueDetail }

const parts: Readonly<Record<string, FieldError['in']>> = {
  body: 'body',
  querystring: 'query',
  params: 'path',
  headers: 'header',
}

/** Accepts JSON bodies only. An empty body counts as no body, so the schema of a call that needs one names what is missing. */
export function acceptJsonOnly(app: FastifyInstance): void {
  const parseJson = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined)
    else {
      void parseJson(request, body, (error, value) => {
        done(error ? refusalOf(body, error) : (refuseInexactNumber(body) ?? null), value)
      })
    }
  })
}

/** Returns the refusal of a body that the parser refused: it is no JSON, or has a key that could change a prototype. */
function refusalOf(body: string, error: Error): Error {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    return error
  }
  const message = 'is refused: the keys __proto__ and constructor.prototype are not accepted'
  return new InvalidPart('body', [{ code: 'custom', path: pathOfForbiddenKey(value) ?? [], message, input: undefined }])
}

/** Parses each part of a request once, with the schema of its route. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> = ({ schema, httpPart }) => {
  const part = parts[httpPart ?? 'body'] ?? 'body'
  return (data) => {
    const result = schema.safeParse(data, detailed)
    // Headers are not replaced: with replaced headers, the request object copies all of them on every access.
    if (result.success && part === 'header') return true
    return result.success ? { value: result.data } : { error: new InvalidPart(part, result.error.issues) }
  }
}
