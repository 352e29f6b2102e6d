import { FailureLog, type Log, problemMediaType, requestIdHeader } from '@tidings/chassis'
import { traceIdOf } from '@tidings/protocol'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import { databaseCodes, isAway, isRefusal, isTransient } from '../database/error.ts'
import { Overload } from '../database/group-commit.ts'
import { type FieldError, Problem, type ProblemName, unavailable } from './problem.ts'
import { traceOf } from './trace.ts'

/** Returns the handler that turns every error of a request into a problem response, and logs it; one that repeats without its causes. */
export function problemHandler(log: Log) {
  const failures = new FailureLog(log, 'error')
  return (error: unknown, request: FastifyRequest, reply: FastifyReply): void => {
    const problem = problemFrom(error)
    const { status } = problem
    const { requestId, traceparent } = traceOf(request)
    const line = {
      requestId,
      ...(traceparent !== undefined && { traceId: traceIdOf(traceparent) }),
      method: request.method,
      call: request.routeOptions.url,
      status,
      problem: problem.problem,
    }
    // A refusal by intent, such as that of a stopping instance, is no failure.
    const intended = error instanceof Problem && error.cause === undefined
    if (status >= 500 && !intended) {
      // Counted by tidings_http_request_seconds. A defect is found by its request, an outage concerns all of them.
      const known = !failures.failed('request failed', error, line)
      if (known && status === 500) log.error(line, 'request failed')
    } else if (problem.problem === 'refused') log.warn({ ...line, ...databaseCodes(error) }, 'the database refused a request')
    else log.debug({ ...line, detail: problem.message }, 'request refused')
    sendProblem(reply, problem)
  }
}

export function notFound(): never {
  throw unknownPath()
}

export function unknownPath(): Problem {
  return new Problem('not-found', 'There is no such call.', { errors: [{ in: 'path', pointer: '#', detail: 'is not known' }] })
}

/** Sends a problem, bypassing the serializers of the route, which are for its own responses. */
export function sendProblem(reply: FastifyReply, problem: Problem): void {
  void reply
    .code(problem.status)
    .headers(problem.headers)
    .header(requestIdHeader, reply.request.id)
    .type(problemMediaType)
    .serializer((text: string) => text)
    .send(JSON.stringify({ ...problem.toJSON(), requestId: reply.request.id }))
}

/** Returns the problem that describes an error to the caller. */
export function problemFrom(error: unknown): Problem {
  if (error instanceof Problem) return error
  if (error instanceof InvalidPart) return new Problem('invalid', error.message, { errors: error.errors })
  if (error instanceof Overload || isAway(error) || isTransient(error)) {
    return unavailable('It is not known whether this was stored: repeat with the same Idempotency-Key.')
  }
  if (isRefusal(error)) return bodyProblem('refused', 'The database refuses these values.')
  const { code, statusCode = 500, message } = error as FastifyError
  if (statusCode === 413) return bodyProblem('too-large', message)
  if (statusCode === 415) {
    const detail = 'must be application/json'
    return new Problem('unsupported-media-type', `content-type: ${detail}`, {
      errors: [{ in: 'header', pointer: '#/content-type', detail }],
    })
  }
  if (code === 'FST_ERR_BAD_URL') {
    return new Problem('invalid', message, { errors: [{ in: 'path', pointer: '#', detail: 'is not valid percent-encoding' }] })
  }
  if (statusCode >= 400 && statusCode < 500) return bodyProblem('malformed', message)
  return new Problem('internal', 'A defect of this service; it has been logged.')
}

function bodyProblem(problem: ProblemName, detail: string): Problem {
  return new Problem(problem, detail, { errors: [{ in: 'body', pointer: '#', detail }] })
}

/** One part of the request does not match its schema. */
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
  // Unknown fields are reported one by one, each under its own name.
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ in: part, pointer: pointerOf([...issue.path, key]), detail: 'is not known' }))
  }
  // Of a union, the option that is wrong inside.
  const inside = issue.code === 'invalid_union' && issue.errors.find((issues) => issues.some(({ path }) => path.length > 0))
  if (inside) return inside.flatMap((one) => fieldErrors(part, { ...one, path: [...issue.path, ...one.path] }))
  return [{ in: part, pointer: pointerOf(issue.path), detail: issue.message }]
}

/** Replaces unpaired surrogates, which no URI can contain. */
function wellFormed(text: string): string {
  return text.replaceAll(/\p{Surrogate}/gu, '\ufffd')
}

function pointerOf(path: readonly PropertyKey[]): string {
  const tokens = path.map((key) => encodeURIComponent(wellFormed(String(key)).replaceAll('~', '~0').replaceAll('/', '~1')))
  return ['#', ...tokens].join('/')
}
