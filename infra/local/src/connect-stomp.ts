import type { MemberId } from '@tidings/protocol'
import { openRawSession, type RawSession, type ServerFrame, type Upgrade } from './raw-session.ts'
import { memberToken } from './token.ts'

export interface StompOptions extends Upgrade {
  /** Signs a token for this member unless `token` or `cookie` is given. */
  readonly memberId?: MemberId
  /** `accept-version`; 1.2 by default. */
  readonly version?: string
  /** `heart-beat`; `0,0`, which is none, by default. */
  readonly heartBeat?: string
}

/** Opens a session, sends CONNECT and waits for CONNECTED. Rejects when the upgrade or CONNECT is refused. */
export async function connectStomp(
  url: string,
  { memberId = 1, version = '1.2', heartBeat = '0,0', ...upgrade }: StompOptions = {},
): Promise<{ session: RawSession; connected: ServerFrame }> {
  const session = await openRawSession(url, { ...(upgrade.cookie === undefined && { token: memberToken(memberId) }), ...upgrade })
  if ('status' in session) throw new Error(`upgrade refused with ${session.status} ${session.body}`)
  session.sends(`CONNECT\naccept-version:${version}\nhost:localhost\nheart-beat:${heartBeat}\n\n\0`)
  const connected = await session.nextFrame()
  if (connected.command !== 'CONNECTED')
    throw new Error(`${connected.command} ${connected.headers.get('message')} ${connected.body}`)
  return { session, connected }
}

/** Sends SUBSCRIBE and resolves once its RECEIPT has arrived. */
export async function subscribe(session: RawSession, id: string, destination: string): Promise<void> {
  session.sends(`SUBSCRIBE\nid:${id}\ndestination:${destination}\nreceipt:subscribed-${id}\n\n\0`)
  const frame = await session.nextFrame()
  if (frame.command !== 'RECEIPT') throw new Error(`${frame.command} ${frame.headers.get('message')} ${frame.body}`)
}
