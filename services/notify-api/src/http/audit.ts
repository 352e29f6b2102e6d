import type { Log } from '@tidings/chassis'
import { type MemberId, traceIdOf } from '@tidings/protocol'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { callerOf } from './caller.ts'
import { traceOf } from './trace.ts'

/** What a call has changed: names and numbers, never a text of the request. */
export interface AuditFields {
  /** Number of members that the call is about. */
  readonly members?: number
  /** Number of them for which it was accepted, if it differs. */
  readonly accepted?: number
  readonly memberId?: MemberId
  readonly notificationId?: number | undefined
  readonly destination?: string
  readonly sessionId?: string
  readonly taskId?: string
  readonly taskStatus?: string
  readonly textBytes?: number
  /** True when this was the response to an earlier request with the same idempotency key. */
  readonly replayed?: true
}

const decorator = 'audit'

/** Has a line logged at the end of the request: the caller, the change, the status and the id of the request. */
export function audit(request: FastifyRequest, fields: AuditFields): void {
  request.setDecorator<AuditFields>(decorator, fields)
}

/** Logs the requests for which {@link audit} was called. */
export function addAudit(app: FastifyInstance, log: Log): void {
  app.decorateRequest<AuditFields | null>(decorator, null)
  app.addHook('onResponse', (request, reply, done) => {
    const fields = request.getDecorator<AuditFields | null>(decorator)
    if (fields) {
      const { requestId, traceparent } = traceOf(request)
      const { id: caller } = callerOf(request)
      const call = request.routeOptions.url
      const status = reply.raw.headersSent ? reply.statusCode : 'aborted'
      log.info({ caller, call, ...fields, status, requestId, traceId: traceparent && traceIdOf(traceparent) }, 'audit')
    }
    done()
  })
}
