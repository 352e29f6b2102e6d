import type { RawSession, ServiceProcess } from '@tidings/local'
import { connected, sendFrame } from './gateway.test.fixture.ts'

/** Numbers in [0, 1) that a seed decides (mulberry32). */
export function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

export interface ModelOptions {
  readonly memberId: number
  readonly destination: string
  readonly ack: 'auto' | 'client' | 'client-individual'
  /** Any gateway that runs, or undefined when none does. */
  readonly pick: () => ServiceProcess | undefined
}

/** A client that knows nothing but the protocol: it comes back, resumes after the last `message-id` it saw, and drops nothing. */
export class ModelSubscriber {
  readonly received: string[] = []
  readonly complaints: string[] = []
  readonly #options: ModelOptions
  #session: RawSession | undefined
  #id = 0
  #at: string | undefined
  #stopped = false
  #onPosition: () => void = () => {}

  constructor(options: ModelOptions) {
    this.#options = options
  }

  /** Resolves when it has subscribed for the first time. */
  start(): Promise<void> {
    void this.#run()
    return new Promise((resolve) => (this.#onPosition = resolve))
  }

  stop(): void {
    this.#stopped = true
    this.drop()
  }

  /** The connection dies without a word. */
  drop(): void {
    this.#session?.socket.terminate()
  }

  /** It leaves like a page that is closed. */
  leave(): void {
    this.#session?.socket.close(1000)
  }

  /** It stops reading, until `read`. */
  freeze(): void {
    this.#session?.socket.pause()
  }

  read(): void {
    this.#session?.socket.resume()
  }

  /** UNSUBSCRIBE and SUBSCRIBE in one go: what still comes for the old subscription does not count. */
  resubscribe(): void {
    if (!this.#session || this.#at === undefined) return
    sendFrame(this.#session, 'UNSUBSCRIBE', { id: `s${this.#id}` })
    this.#subscribe(this.#session)
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      try {
        const gateway = this.#options.pick()
        if (gateway) await this.#converse(await connected(gateway, { memberId: this.#options.memberId }))
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
    }
  }

  #subscribe(session: RawSession): void {
    this.#id++
    const { destination, ack } = this.#options
    const resume = this.#at === undefined ? {} : { 'last-message-id': this.#at }
    sendFrame(session, 'SUBSCRIBE', { id: `s${this.#id}`, destination, ack, receipt: `r${this.#id}`, ...resume })
  }

  async #converse(session: RawSession): Promise<void> {
    this.#session = session
    sendFrame(session, 'SUBSCRIBE', { id: 'session', destination: '/member/queue/session' })
    this.#subscribe(session)
    for (;;) {
      const { command, headers, body } = await session.nextFrame(120_000)
      if (command === 'RECEIPT') {
        if (headers.get('recovered') === 'false') this.complaints.push(`not recovered after ${this.#at}`)
        if (headers.get('receipt-id') === `r${this.#id}`) this.#at ??= headers.get('position')
        this.#onPosition()
      } else if (command !== 'MESSAGE' || headers.get('subscription') === 'session') {
        this.complaints.push(`${command} ${headers.get('message') ?? ''} ${body}`)
      } else if (headers.get('subscription') === `s${this.#id}`) {
        this.#at = headers.get('message-id')
        this.received.push(body)
        if (this.#options.ack !== 'auto') sendFrame(session, 'ACK', { id: headers.get('ack') ?? '' })
      }
    }
  }
}
