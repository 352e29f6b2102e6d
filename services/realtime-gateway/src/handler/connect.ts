import { version as productVersion } from '@tidings/chassis'
import { Close, negotiateHeartBeat, negotiateVersion, stompVersions } from '@tidings/protocol'
import type { Limits } from '../config.ts'
import { refuse } from '../session/outcome.ts'
import type { FrameHandler } from '../session/session.ts'

/** Lowest first, as in the examples of STOMP 1.2, Protocol Negotiation. */
const supportedVersions = stompVersions.toReversed().join(',')
const server = `tidings/${productVersion}`

/** CONNECT or STOMP → CONNECTED (PROTOCOL.md §5). The handshake has established the member: login and passcode are not used. */
export function connect({ heartBeatMs }: Limits): FrameHandler {
  return (session, frame) => {
    if (session.version !== undefined) return refuse(Close.badFrame, 'already connected')
    const version = negotiateVersion(frame.headers.get('accept-version'))
    if (!version) {
      return {
        ...refuse(Close.badFrame, `supported protocol versions are ${supportedVersions}`),
        headers: [['version', supportedVersions]],
      }
    }
    // STOMP 1.0 has no heart-beats.
    const ours = version === '1.0' ? 0 : heartBeatMs
    const header = version === '1.0' ? undefined : frame.headers.get('heart-beat')
    const heartBeat = negotiateHeartBeat({ sendMs: ours, wantMs: ours }, header)
    if (!heartBeat) return refuse(Close.badFrame, 'heart-beat must be two numbers of milliseconds: <sends>,<wants>')
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
}
