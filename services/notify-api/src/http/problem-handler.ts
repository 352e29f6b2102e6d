import { type Log, loggable } from '@tidings/chassis'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import { Overload } from '../database/group-commit.ts'
import { contentType, type FieldError, Problem, type ProblemName, unavailable } from './problem.ts'
import { isAway, isRefusal } from '../database/error.ts'

/** The one place where an error becomes an answer. */
export function problemHandler(log: Log) {
  return (error: unknown, request: FastifyRequest, reply: FastifyReply): void => {
    const problem = problemOf(error)
    const line = { requestId: request.id, call: request.routeOptions.url, problem: problem.problem }
    if (problem.status >= 500) log.error({ ...line, err: loggable(error) }, 'request failed')
    else log.debug({ ...line, detail: problem.message }, 'request refused')
    answer(reply, problem)
  }
}

export function notFound(): never {
  throw new Problem('not-found', 'There is no such call.', { errors: [{ in: 'path', pointer: '#', detail: 'is not known' }] })
}

/** Sends without the serialisers of the route: those are for its answers. */
export function answer(reply: FastifyReply, problem: Problem): void {
  void reply
    .code(problem.status)
    .headers(problem.headers)
    .type(contentType)
    .serializer((text: string) => text)
    .send(JSON.stringify(problem))
}

export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error
  if (error instanceof InvalidPart) return new Problem('invalid', error.message, { errors: error.errors })
  if (error instanceof Overload || isAway(error)) {
    return unavailable('Not stored, or not known to be: repeat with the same Idempotency-Key.')
  }
  if (isRefusal(error)) return body('refused', 'The database refuses these values.')
  const { code, statusCode = 500, message } = error as FastifyError
  if (statusCode === 413) return body('too-large', message)
  if (statusCode === 415) {
    const detail = 'must be application/json'
    return new Problem('unsupported-media-type', `content-type: ${detail}`, {
      errors: [{ in: 'header', pointer: '#/content-type', detail }],
    })
  }
  if (code === 'FST_ERR_BAD_URL') {
    return new Problem('invalid', message, { errors: [{ in: 'path', pointer: '#', detail: 'is not valid percent-encoding' }] })
  }
  if (statusCode >= 400 && statusCode < 500) return body('malformed', message)
  return new Problem('internal', 'This is our defect and has been logged.')
}

function body(problem: ProblemName, detail: string): Problem {
  return new Problem(problem, detail, { errors: [{ in: 'body', pointer: '#', detail }] })
}

/** What a schema found wrong in one part of the request. */
export class InvalidPart extends Error {
  override readonly name = 'InvalidPart'
  readonly errors: readonly FieldError[]

  constructor(part: FieldError['in'], issues: readonly z.core.$ZodIssue[]) {
    const errors = issues.flatMap((issue) => fieldErrors(part, issue))
    super(errors.map(({ pointer, detail }) => `${pointer} ${detail}`).join('; '))
    this.errors = errors
  }
}

function fieldErrors(part: FieldError['in'], issue: z.core.$ZodIssue): FieldError[] {
  // One entry for each unknown field, under its own name.
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ in: part, pointer: pointerOf([...issue.path, key]), detail: 'is not known' }))
  }
  return [{ in: part, pointer: pointerOf(issue.path), detail: issue.message }]
}

function pointerOf(path: readonly PropertyKey[]): string {
  const tokens = path.map((key) => encodeURIComponent(String(key).replaceAll('~', '~0').replaceAll('/', '~1')))
  return ['#', ...tokens].join('/')
}
