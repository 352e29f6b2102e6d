import { connectStomp, subscribe } from './connect-stomp.ts'
import type { RawSession, ServerFrame } from './raw-session.ts'
import { serviceToken } from './token.ts'

const deadlineMs = 10_000
const memberId = 7

/**
 * Posts one notification over HTTP and receives it in a STOMP session, both through the edge. Resolves to the MESSAGE frame and the
 * time from POST to MESSAGE, as text.
 *
 * @throws Error that names the step that failed.
 */
export async function runMainJob(url: string): Promise<string> {
  const { session } = await connectStomp(url, { memberId, origin: url })
  await subscribe(session, 'check', '/member/queue/notification')
  const postedAt = performance.now()
  const posted = post(url)
  const [, { frame, arrivedAt }] = await Promise.all([posted, arrival(session, posted)])
  await session.leaves()
  const headers = [...frame.headers].map(([name, value]) => `${name}:${value}`)
  return [frame.command, ...headers, '', frame.body, '', `${(arrivedAt - postedAt).toFixed(1)} ms from POST to MESSAGE`].join(
    '\n',
  )
}

/** Posts the notification and resolves to its id. */
async function post(url: string): Promise<number> {
  const response = await fetch(`${url}/notification/send`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${serviceToken()}` },
    body: JSON.stringify({ memberId, message: '새로운 알림이 도착했습니다.', redirectPath: '/dashboard' }),
    signal: AbortSignal.timeout(deadlineMs),
  })
  const body = await response.text()
  if (response.status !== 201) throw new Error(`POST /notification/send responded with ${response.status} ${body}`)
  return (JSON.parse(body) as { notificationId: number }).notificationId
}

/** Resolves to the MESSAGE of this notification, which may arrive before the response to the POST. Skips other notifications. */
async function arrival(session: RawSession, posted: Promise<number>): Promise<{ frame: ServerFrame; arrivedAt: number }> {
  for (;;) {
    const frame = await session.nextFrame(deadlineMs).catch(async (cause: unknown) => {
      throw new Error(`notification ${await posted} was accepted, but did not arrive: ${String(cause)}`, { cause })
    })
    const arrivedAt = performance.now()
    if (frame.command !== 'MESSAGE') throw new Error(`${frame.command} ${frame.headers.get('message')} ${frame.body}`)
    const { notificationId } = JSON.parse(frame.body) as { notificationId?: number }
    if (notificationId === (await posted)) return { frame, arrivedAt }
  }
}
