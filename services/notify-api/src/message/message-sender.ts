import type { Publisher } from '../outbox/redis-publisher.ts'

/** What became of one message: its position, or why it was not accepted. `unavailable`: Redis did not respond. */
export type MessageOutcome =
  | { readonly position: string }
  | { readonly error: 'refused' | 'unavailable'; readonly cause: unknown }

/** Publishes a body on each channel, whose history then holds it. Never rejects. */
export function publishMessage(
  publisher: Pick<Publisher, 'publish'>,
  channels: readonly string[],
  body: string,
): Promise<MessageOutcome[]> {
  const publish = async (channel: string): Promise<MessageOutcome> => {
    try {
      return { position: await publisher.publish(channel, body) }
    } catch (cause) {
      return { error: isNotPermitted(cause) ? 'refused' : 'unavailable', cause }
    }
  }
  return Promise.all(channels.map(publish))
}

function isNotPermitted(error: unknown): boolean {
  return error instanceof Error && error.message.includes('NOPERM')
}
