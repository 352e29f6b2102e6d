/** One step of a stream of messages. */
export type MessageStreamEvent<Body = unknown> =
  | { readonly type: 'message'; readonly body: Body }
  /**
   * Messages may be lost for good: read the state from the application's own server, at a random time within `spreadMs`. After a restart
   * of Redis all devices get a gap at once.
   */
  | { readonly type: 'gap'; readonly spreadMs: number }
  /** The last event: the gateway does not permit the destination to this member. The connection goes on without it. */
  | { readonly type: 'refused' }

/**
 * The messages that backends send to one destination with `POST /message`, from the first listener or iteration on, across lost connections.
 * An iteration ends with `stop()`, and after `refused`. `Body` is not checked.
 */
export interface MessageStream<Body = unknown> extends AsyncIterable<MessageStreamEvent<Body>> {
  readonly destination: string
  /** Calls `listener` with each event, in every tab that listens. Returns a function that unsubscribes. */
  readonly subscribe: (listener: (event: MessageStreamEvent<Body>) => void) => () => void
}
