import type { FastifyInstance, onRequestAsyncHookHandler, RawServerDefault, FastifyBaseLogger } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Scope } from '../http/caller.ts'

/** The Fastify instance to which routes are added. */
export type Api = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>

type Guard = onRequestAsyncHookHandler[]

/** Hooks that authenticate the caller and count its requests. Each route has one of them. */
export interface Guards {
  readonly backend: (scope: Scope) => Guard
  readonly memberReads: Guard
  readonly memberWrites: Guard
  /** Authenticates a backend when the request has `Authorization`, a member otherwise. */
  readonly backendOrMemberReads: (scope: Scope) => Guard
  readonly backendOrMemberWrites: (scope: Scope) => Guard
}
