import type { MemberId } from '@tidings/protocol'

export type Audience = { readonly memberId: MemberId } | { readonly memberIds: readonly MemberId[] } | { readonly all: true }

export interface NotificationContent {
  readonly message: string
  readonly redirectPath: string
  readonly data?: Readonly<Record<string, unknown>>
}

export interface SentNotification {
  readonly notificationId: number
  readonly memberId: MemberId
  /** Whether a gateway holds a connection of the member. Null when this is unknown. */
  readonly online: boolean | null
}

export type SendResult =
  | { readonly status: 'sent'; readonly notifications: readonly SentNotification[] }
  | { readonly status: 'broadcast'; readonly notificationId: number }
  | { readonly status: 'refused'; readonly detail: string }
  | { readonly status: 'no-response' }

/** Sends a notification through the demo server, which forwards it to notify-api with a service token that the page never sees. */
export async function postDemoSend(audience: Audience, content: NotificationContent): Promise<SendResult> {
  try {
    const response = await fetch('/demo/send', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...audience, ...content }),
    })
    const body = (await response.json()) as
      | SentNotification
      | { notifications: SentNotification[] }
      | { detail?: string; title?: string }
    if (!response.ok) return { status: 'refused', detail: detailOf(body) ?? `HTTP ${response.status}` }
    if ('notifications' in body) return { status: 'sent', notifications: body.notifications }
    if ('all' in audience) return { status: 'broadcast', notificationId: (body as SentNotification).notificationId }
    return { status: 'sent', notifications: [body as SentNotification] }
  } catch {
    return { status: 'no-response' }
  }
}

/** The most specific text of a problem (RFC 9457): `detail` describes the occurrence, `title` only the type. */
function detailOf(body: object): string | undefined {
  const { detail, title } = body as { detail?: string; title?: string }
  return detail ?? title
}
