import { messageDestination, messageDestinations } from '@tidings/protocol/destination'
import { callAll } from '../store.ts'
import { MessageReader } from './message-reader.ts'
import type { MessageStream, MessageStreamEvent } from './message-stream.ts'

/** Delivers the messages of destinations that are listened to. */
export interface MessageFeed {
  listen(destination: string): void
  unlisten(destination: string): void
}

/** The streams of messages that have listeners or iterations in this tab. */
export class LiveMessages {
  readonly #feed: MessageFeed
  /** The listeners of each destination. */
  readonly #listeners = new Map<string, Set<(event: MessageStreamEvent) => void>>()
  readonly #readers = new Set<MessageReader>()

  constructor(feed: MessageFeed) {
    this.#feed = feed
  }

  /** Returns the stream of a destination. @throws TypeError for any other than those of `POST /message`. */
  readonly messages = <Body>(destination: string): MessageStream<Body> => {
    if (!messageDestination(destination)) throw new TypeError(`${destination}: ${messageDestinations}`)
    return {
      destination,
      subscribe: (listener) => this.#listen(destination, (event) => listener(event as MessageStreamEvent<Body>)),
      [Symbol.asyncIterator]: () => this.#iterate(destination) as AsyncGenerator<MessageStreamEvent<Body>, void>,
    }
  }

  message(destination: string, body: unknown): void {
    this.#deliver(destination, { type: 'message', body })
  }

  missed(destination: string, spreadMs: number): void {
    this.#deliver(destination, { type: 'gap', spreadMs })
  }

  refused(destination: string): void {
    const listeners = this.#listeners.get(destination) ?? []
    this.#listeners.delete(destination)
    callAll(listeners, { type: 'refused' })
  }

  /** Ends iterations. Listeners stay, for a later start. */
  stop(): void {
    for (const reader of this.#readers) reader.end()
  }

  /** Another member has signed in: what was received before is not theirs. */
  reset(): void {
    for (const destination of this.#listeners.keys()) this.missed(destination, 0)
  }

  #deliver(destination: string, event: MessageStreamEvent): void {
    callAll(this.#listeners.get(destination) ?? [], event)
  }

  /** `listener` is a function of its own for each call. */
  #listen(destination: string, listener: (event: MessageStreamEvent) => void): () => void {
    const listeners = this.#listeners.get(destination) ?? new Set()
    this.#listeners.set(destination, listeners.add(listener))
    if (listeners.size === 1) this.#feed.listen(destination)
    return () => {
      if (!listeners.delete(listener) || listeners.size > 0 || this.#listeners.get(destination) !== listeners) return
      this.#listeners.delete(destination)
      this.#feed.unlisten(destination)
    }
  }

  async *#iterate(destination: string): AsyncGenerator<MessageStreamEvent, void> {
    const reader = new MessageReader()
    this.#readers.add(reader)
    const unlisten = this.#listen(destination, (event) => reader.push(event))
    try {
      for (;;) {
        const event = await reader.next()
        if (!event) return
        yield event
        if (event.type === 'refused') return
      }
    } finally {
      this.#readers.delete(reader)
      unlisten()
    }
  }
}
