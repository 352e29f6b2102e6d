import { problemOf } from '@tidings/chassis'
import { ErrorMessage, MarkReceived, MarkSeen, NotificationId, TaskId } from '@tidings/protocol'
import { z } from 'zod'
import { type Credentials, credentialHeaders } from './credentials.ts'
import { parseJson } from './parse-json.ts'

/**
 * Forwards the body of a SEND to notify-api with the member's own credentials. Resolves to the refusal, or to undefined when the call
 * succeeded; never rejects.
 */
export type Forward = (
  destination: PublishDestination,
  body: Uint8Array,
  credentials: Credentials,
) => Promise<ErrorMessage | undefined>

const timeoutMs = 5_000
const maxDetailLength = 500

/** The HTTP call of each destination: its path and body, made from the body of the SEND. */
const calls = {
  '/publish/notification/read': z
    .union([z.strictObject({ notificationId: NotificationId }), z.strictObject({ upTo: NotificationId })])
    .transform((body) =>
      'notificationId' in body
        ? { path: `/notification/${body.notificationId}/read`, body: {} }
        : { path: '/notification/read-all', body },
    ),
  '/publish/notification/seen': MarkSeen.transform((body) => ({ path: '/notification/seen', body })),
  '/publish/notification/received': MarkReceived.transform((body) => ({ path: '/notification/received', body })),
  '/publish/task/cancel': z
    .strictObject({ taskId: TaskId })
    .transform(({ taskId }) => ({ path: `/task/${taskId}/cancel`, body: {} })),
} as const

export type PublishDestination = keyof typeof calls

/** The destinations that a SEND may name. */
export const publishDestinations = Object.keys(calls) as readonly PublishDestination[]

export function isPublishDestination(destination: string): destination is PublishDestination {
  return Object.hasOwn(calls, destination)
}

const Problem = ErrorMessage.omit({ destination: true }).partial({ detail: true })

export function forwardTo(notifyApiUrl: string, memberCookie: string): Forward {
  return async (destination, bytes, credentials) => {
    const call = calls[destination].safeParse(parseJson(bytes))
    if (!call.success) return refusal(destination, 400, z.prettifyError(call.error))
    try {
      const response = await fetch(new URL(call.data.path, notifyApiUrl), {
        method: 'POST',
        headers: { ...credentialHeaders(credentials, memberCookie), 'content-type': 'application/json' },
        body: JSON.stringify(call.data.body),
        signal: AbortSignal.timeout(timeoutMs),
      })
      if (response.ok) {
        await response.body?.cancel()
        return undefined
      }
      const problem = Problem.safeParse(parseJson(new Uint8Array(await response.arrayBuffer()))).data
      return problem ? { destination, ...problem } : refusal(destination, response.status)
    } catch {
      return refusal(destination, 503, 'notify-api did not answer: try again')
    }
  }
}

function refusal(destination: string, status: number, detail?: string): ErrorMessage {
  return { destination, ...problemOf(status, detail?.slice(0, maxDetailLength)) }
}
