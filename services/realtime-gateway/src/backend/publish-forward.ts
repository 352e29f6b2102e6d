import { ErrorMessage, NotificationId, TaskId } from '@tidings/protocol'
import { z } from 'zod'
import { parseJson } from './parse-json.ts'

/** Forwards a client's SEND to notify-api with the member's own credentials; answers the refusal, if it was one. */
export type Forward = (
  destination: string,
  body: Uint8Array,
  credentials: { readonly token: string; readonly origin: string },
) => Promise<ErrorMessage | undefined>

const timeoutMs = 5_000
const maxDetailLength = 500

/** The HTTP call that stands behind each destination: its path and body, made from the body of the SEND. */
export const publishable = {
  '/publish/notification/read': z
    .union([z.strictObject({ notificationId: NotificationId }), z.strictObject({ upTo: NotificationId })])
    .transform((body) =>
      'notificationId' in body
        ? { path: `/notification/${body.notificationId}/read`, body: {} }
        : { path: '/notification/read-all', body },
    ),
  '/publish/task/cancel': z
    .strictObject({ taskId: TaskId })
    .transform(({ taskId }) => ({ path: `/task/${taskId}/cancel`, body: {} })),
} as const

const Problem = ErrorMessage.omit({ destination: true }).partial({ detail: true })

export function forwardTo(notifyApiUrl: string, memberCookie: string): Forward {
  return async (destination, bytes, { token, origin }) => {
    const call = publishable[destination as keyof typeof publishable].safeParse(parseJson(bytes))
    if (!call.success) return refusal(destination, 400, 'Bad Request', z.prettifyError(call.error))
    try {
      const response = await fetch(new URL(call.data.path, notifyApiUrl), {
        method: 'POST',
        headers: { cookie: `${memberCookie}=${token}`, origin, 'content-type': 'application/json' },
        body: JSON.stringify(call.data.body),
        signal: AbortSignal.timeout(timeoutMs),
      })
      if (response.ok) {
        await response.body?.cancel()
        return undefined
      }
      const problem = Problem.safeParse(parseJson(new Uint8Array(await response.arrayBuffer()))).data
      return problem ? { destination, ...problem } : refusal(destination, response.status, response.statusText)
    } catch {
      return refusal(destination, 503, 'Service Unavailable', 'notify-api did not answer: try again')
    }
  }
}

function refusal(destination: string, status: number, title: string, detail?: string): ErrorMessage {
  return {
    destination,
    type: 'about:blank',
    title,
    status,
    ...(detail === undefined ? {} : { detail: detail.slice(0, maxDetailLength) }),
  }
}
