import type { FastifyInstance, onRequestAsyncHookHandler, RawServerDefault, FastifyBaseLogger } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Scope } from '../caller.ts'

/** Where routes are added. */
export type Api = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>

/** The hooks that let callers in, for the routes to choose from. */
export interface Doors {
  readonly backend: (scope: Scope) => onRequestAsyncHookHandler[]
  readonly memberReads: onRequestAsyncHookHandler[]
  readonly memberChanges: onRequestAsyncHookHandler[]
}
