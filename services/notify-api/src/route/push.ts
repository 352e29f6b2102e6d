import { tokenHashOf } from '@tidings/chassis'
import { DeletePushSubscription, PushKey, PutPushSubscription } from '@tidings/protocol'
import { z } from 'zod'
import { callerOf, memberOf, tokenOf } from '../http/caller.ts'
import { memberSecurity, problemResponses } from '../http/document.ts'
import { Problem } from '../http/problem.ts'
import { isPublicKey } from '../push/encryption.ts'
import { endpointFault } from '../push/endpoint.ts'
import { type PushSubscriptions, TokenRevoked } from '../push/subscription-store.ts'
import type { WebPushSettings } from '../push/settings.ts'
import type { Api, Guards } from './api.ts'

export interface PushDeps {
  readonly pushSubscriptions: Pick<PushSubscriptions, 'put' | 'remove'>
}

/** Adds the calls with which the browsers of members subscribe to push messages. */
export function pushRoutes(
  app: Api,
  guards: Guards,
  { pushSubscriptions }: PushDeps,
  settings: WebPushSettings | undefined,
): void {
  app.get(
    '/push/key',
    {
      onRequest: guards.memberReads,
      schema: {
        operationId: 'getPushKey',
        summary: 'The applicationServerKey with which browsers subscribe to push messages',
        security: memberSecurity,
        response: { 200: PushKey, ...problemResponses('not-found') },
      },
    },
    () => ({ publicKey: configured(settings).vapid.publicKey }),
  )

  app.put(
    '/push/subscription',
    {
      onRequest: guards.memberWrites,
      schema: {
        operationId: 'putPushSubscription',
        summary: 'Push to this browser what no device of the member has received',
        security: memberSecurity,
        body: PutPushSubscription,
        response: { 204: z.null(), ...problemResponses('forbidden-origin', 'not-found', 'too-large', 'unsupported-media-type') },
      },
    },
    async (request, reply) => {
      const { endpoint, keys, replaces, lang } = request.body
      const fault = endpointFault(endpoint, configured(settings).privateAddresses)
      if (fault !== undefined) throw invalid('#/endpoint', fault)
      const p256dh = Buffer.from(keys.p256dh, 'base64url')
      if (!isPublicKey(p256dh)) throw invalid('#/keys/p256dh', 'must be a point on P-256')
      const subscription = { endpoint, p256dh, auth: Buffer.from(keys.auth, 'base64url'), replaces, lang }
      const token = { tokenHash: tokenHashOf(tokenOf(request)), issuedAt: callerOf(request).issuedAt ?? 0 }
      try {
        await pushSubscriptions.put(memberOf(request), { ...subscription, origin: pageOf(request.headers.origin) }, token)
      } catch (error) {
        if (error instanceof TokenRevoked) throw new Problem('unauthorized', 'the token was revoked', { cause: error })
        throw error
      }
      return reply.code(204).send(null)
    },
  )

  app.delete(
    '/push/subscription',
    {
      onRequest: guards.memberWrites,
      schema: {
        operationId: 'deletePushSubscription',
        summary: 'Push to this browser no longer',
        security: memberSecurity,
        body: DeletePushSubscription,
        response: { 204: z.null(), ...problemResponses('forbidden-origin', 'too-large', 'unsupported-media-type') },
      },
    },
    async (request, reply) => {
      await pushSubscriptions.remove(memberOf(request), request.body.endpoint)
      return reply.code(204).send(null)
    },
  )
}

function configured(settings: WebPushSettings | undefined): WebPushSettings {
  if (settings) return settings
  throw new Problem('not-found', 'Web Push is not configured: VAPID_PUBLIC_KEY is not set.')
}

function invalid(pointer: string, detail: string): Problem {
  return new Problem('invalid', `${pointer} ${detail}`, { errors: [{ in: 'body', pointer, detail }] })
}

/** Returns the Origin of a page. That of an app has no pages to open. */
function pageOf(origin: string | undefined): string | undefined {
  return origin !== undefined && /^https?:/.test(origin) ? origin : undefined
}
