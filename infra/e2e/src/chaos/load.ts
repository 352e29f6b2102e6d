import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { serviceToken } from '@tidings/local'

/** A post that a notify-api accepted (201). `memberId` is undefined for a broadcast. */
export interface Accepted {
  readonly text: string
  readonly memberId: number | undefined
  readonly notificationId: number
  readonly at: number
}

const retryMs = 100
const requestTimeoutMs = 8_000

/**
 * Posts to each member in turn at a fixed rate, over all notify-apis, each post with an idempotency key and repeated until it is
 * accepted. The next post to a member is sent only after the last one was accepted, so that the order of acceptance is known.
 */
export class Load {
  readonly accepted: Accepted[] = []
  /** Attempts that ended with 409, 503 or no response, each repeated. */
  refused = 0
  /** Statuses that no fault excuses. */
  readonly unexpected: string[] = []
  readonly #apiUrls: () => readonly string[]
  readonly #token = serviceToken()
  readonly #loops: Promise<void>[]
  #stopped = false
  #attempts = 0

  constructor({
    members,
    postsPerSecond,
    apiUrls,
  }: { members: readonly number[]; postsPerSecond: number; apiUrls: () => readonly string[] }) {
    this.#apiUrls = apiUrls
    const intervalMs = (members.length / postsPerSecond) * 1_000
    this.#loops = [...members.map((memberId) => this.#loop(memberId, intervalMs)), this.#loop(undefined, 500)]
  }

  /** Resolves when each post that was begun has been accepted. */
  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#loops)
  }

  async #loop(memberId: number | undefined, intervalMs: number): Promise<void> {
    await delay(Math.random() * intervalMs)
    let count = 0
    while (!this.#stopped) {
      count++
      await this.post(memberId, `${memberId ?? 'all'}:${count}`)
      await delay(intervalMs)
    }
  }

  async post(memberId: number | undefined, text: string): Promise<void> {
    const key = randomUUID()
    const content = { message: text, redirectPath: '/' }
    const [path, body] =
      memberId === undefined ? ['/notification/broadcast', content] : ['/notification/send', { memberId, ...content }]
    for (;;) {
      const urls = this.#apiUrls()
      const url = urls[this.#attempts++ % urls.length] as string
      try {
        const response = await fetch(`${url}${path}`, {
          method: 'POST',
          headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json', 'idempotency-key': key },
          body: JSON.stringify(body),
          signal: AbortSignal.timeout(requestTimeoutMs),
        })
        const answer = (await response.json()) as { notificationId: number }
        if (response.status === 201) {
          this.accepted.push({ text, memberId, notificationId: answer.notificationId, at: performance.now() })
          return
        }
        if (response.status !== 503 && response.status !== 409)
          this.unexpected.push(`${response.status} ${JSON.stringify(answer)}`)
      } catch {
        // The instance is down, or the response was lost: the key makes the repetition safe.
      }
      this.refused++
      await delay(retryMs)
    }
  }
}
