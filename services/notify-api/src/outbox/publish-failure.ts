/** Why a message was not published, or is not known to be. */
export interface PublishFailure {
  /** True when Redis, or the shard of the channel, is away. False when Redis refuses this message. */
  readonly away: boolean
  readonly reason: string
}

/** Codes of the error replies that concern the server or the shard, and pass with time. Any other concerns the command that got it. */
const awayCodes: ReadonlySet<string | undefined> = new Set([
  'ASK',
  'BUSY',
  'CLUSTERDOWN',
  'LOADING',
  'MASTERDOWN',
  'MISCONF',
  'MOVED',
  'NOAUTH',
  'NOREPLICAS',
  'OOM',
  'READONLY',
  'TRYAGAIN',
])

/** Classifies the text of an error reply. */
export function failureOfReply(reason: string): PublishFailure {
  const [code] = /[A-Z]+/.exec(reason) ?? []
  return { away: awayCodes.has(code), reason }
}

/** Classifies the error of a command. Anything but an error reply means that Redis is away. */
export function failureOf(error: unknown): PublishFailure {
  const { name, message } = error as Error
  return name === 'ReplyError' ? failureOfReply(message) : { away: true, reason: message }
}
