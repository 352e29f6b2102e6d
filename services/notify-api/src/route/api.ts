import type { FastifyInstance, onRequestAsyncHookHandler, RawServerDefault, FastifyBaseLogger } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Scope } from '../http/caller.ts'

/** Where routes are added. */
export type Api = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>

type Door = onRequestAsyncHookHandler[]

/** The hooks that let callers in, for the routes to choose from. */
export interface Doors {
  readonly backend: (scope: Scope) => Door
  readonly memberReads: Door
  /** A backend when it sends `Authorization`, a member otherwise. */
  readonly backendOrMemberReads: (scope: Scope) => Door
  readonly memberChanges: Door
}
