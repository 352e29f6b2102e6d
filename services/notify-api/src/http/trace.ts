import { parseTraceparent } from '@tidings/protocol'
import type { FastifyRequest } from 'fastify'

/** What identifies a request in logs, and its publications in traces. */
export interface RequestTrace {
  readonly requestId: string
  /** Of version 00; undefined when the request has none, or one that is not valid. */
  readonly traceparent: string | undefined
}

export function traceOf({ id, headers }: FastifyRequest): RequestTrace {
  return { requestId: id, traceparent: parseTraceparent(headers['traceparent']) }
}
