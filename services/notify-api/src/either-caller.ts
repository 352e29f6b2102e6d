import type { onRequestAsyncHookHandler, onRequestHookHandler } from 'fastify'
import { callerOf } from './caller.ts'

/** For calls that are open to both: who sends `Authorization` is a backend. */
export function eitherCaller(backend: onRequestAsyncHookHandler, member: onRequestAsyncHookHandler): onRequestAsyncHookHandler {
  return async function either(request, reply) {
    await (request.headers.authorization === undefined ? member : backend).call(this, request, reply)
  }
}

/** The limit of whoever was let in by `eitherCaller`. */
export function eitherLimit(service: onRequestHookHandler, member: onRequestHookHandler): onRequestHookHandler {
  return function either(request, reply, done) {
    ;(callerOf(request).memberId === undefined ? service : member).call(this, request, reply, done)
  }
}
