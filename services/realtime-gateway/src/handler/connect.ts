import { version as productVersion } from '@tidings/chassis'
import { Close, negotiateHeartBeat, negotiateVersion, stompVersions } from '@tidings/protocol'
import type { FrameHandler } from '../session/session.ts'

const server = `tidings/${productVersion}`

/** CONNECT or STOMP → CONNECTED (PROTOCOL.md §5). Who the member is was settled before the upgrade: login and passcode mean nothing. */
export const connect: FrameHandler = (session, frame) => {
  if (session.version !== undefined) return session.refuseFrame(Close.badFrame, 'already connected', frame)
  const version = negotiateVersion(frame.headers.get('accept-version'))
  if (!version) return session.refuseFrame(Close.badFrame, `supported versions are ${stompVersions.join(', ')}`, frame)
  // STOMP 1.0 has no heart-beats.
  const ours = version === '1.0' ? 0 : session.limits.heartBeatMs
  const header = version === '1.0' ? undefined : frame.headers.get('heart-beat')
  const heartBeat = negotiateHeartBeat({ sendMs: ours, wantMs: ours }, header)
  if (!heartBeat)
    return session.refuseFrame(Close.badFrame, 'heart-beat must be two numbers of milliseconds: <sends>,<wants>', frame)
  session.connect(version, heartBeat)
  session.sendFrame('CONNECTED', [
    ['version', version],
    ['session', session.id],
    ['server', server],
    ['user-name', String(session.principal.memberId)],
    ['heart-beat', `${ours},${ours}`],
    ['expires-at', String(session.principal.expiresAt)],
  ])
  return undefined
}
