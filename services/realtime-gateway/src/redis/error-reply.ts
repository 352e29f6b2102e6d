/** Returns whether Redis replied, with an error. Any other error means that the reply is missing. */
export function isErrorReply(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError'
}

/** Returns whether the ACL of Redis forbids the command, or one of its keys or channels, to the user of the connection. */
export function deniesAccess({ message }: Error): boolean {
  return message.startsWith('NOPERM ')
}

/** Returns the address, `host:port`, of the node that serves the slot of a refused command, if the error reply names one. */
export function newOwner({ message }: Error): string | undefined {
  return /^MOVED \d+ (.+:\d+)$/.exec(message)?.[1]
}
