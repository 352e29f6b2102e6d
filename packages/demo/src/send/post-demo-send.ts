export type Audience = { readonly memberId: number } | { readonly memberIds: readonly number[] } | { readonly all: true }

export interface Letter {
  readonly message: string
  readonly redirectPath: string
  readonly data?: Readonly<Record<string, unknown>>
}

export interface Sent {
  readonly notificationId: number
  readonly memberId: number
  /** Null: it cannot be told at the moment. */
  readonly online: boolean | null
}

export type Answer =
  | { readonly status: 'sent'; readonly notifications: readonly Sent[] }
  | { readonly status: 'broadcast'; readonly notificationId: number }
  | { readonly status: 'refused'; readonly detail: string }
  | { readonly status: 'no answer' }

/** The edge adds a service token that the page never sees, and hands it on to notify-api. */
export async function postDemoSend(audience: Audience, letter: Letter): Promise<Answer> {
  try {
    const response = await fetch('/demo/send', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...audience, ...letter }),
    })
    const body = (await response.json()) as Sent | { notifications: Sent[] } | { detail?: string; title?: string }
    if (!response.ok) return { status: 'refused', detail: detailOf(body) ?? `HTTP ${response.status}` }
    if ('notifications' in body) return { status: 'sent', notifications: body.notifications }
    if ('all' in audience) return { status: 'broadcast', notificationId: (body as Sent).notificationId }
    return { status: 'sent', notifications: [body as Sent] }
  } catch {
    return { status: 'no answer' }
  }
}

/** RFC 9457: `detail` tells this case, `title` the kind. */
function detailOf(body: object): string | undefined {
  const { detail, title } = body as { detail?: string; title?: string }
  return detail ?? title
}
