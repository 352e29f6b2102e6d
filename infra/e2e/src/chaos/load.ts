import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { localOrigin, memberToken, serviceToken } from '@tidings/local'
import { runTask } from '@tidings/producer'

/** A post that a notify-api accepted (201), for one of its members. `memberId` is undefined for a broadcast. */
export interface Accepted {
  readonly text: string
  readonly memberId: number | undefined
  readonly notificationId: number
  readonly at: number
}

/** A task that has ended as `succeeded` with this text. */
export interface EndedTask {
  readonly taskId: string
  readonly memberId: number
  readonly text: string
}

export interface LoadOptions {
  readonly members: readonly number[]
  readonly postsPerSecond: number
  readonly apiUrls: () => readonly string[]
  /** Also posts to several members, reads, and streams tasks. */
  readonly mixed?: {
    readonly producerUrls: readonly string[]
    /** Called before a task is created. */
    readonly onTask: (taskId: string, memberId: number) => void
  }
}

const retryMs = 100
const requestTimeoutMs = 8_000
const broadcastEveryMs = 500
const groupSize = 3
const groupEveryMs = 150
const readEveryMs = 200
/** Of so many reads one is a read-all. */
const readsPerReadAll = 8
const taskAppends = 12
const appendEveryMs = 120
const taskPatienceMs = 60_000

/**
 * Posts to each member in turn at a fixed rate, over all notify-apis, each post with an idempotency key and repeated until it is
 * accepted. The next post of a series is sent only after the last one was accepted, so that the order of acceptance is known. Other
 * series go to several members, or to all.
 */
export class Load {
  readonly accepted: Accepted[] = []
  readonly tasks: EndedTask[] = []
  /** Attempts that ended with 409, 503 or no response, each repeated. */
  refused = 0
  /** Those of them that ended without a response. */
  unanswered = 0
  /** Statuses that no fault excuses, and tasks that failed. */
  readonly unexpected: string[] = []
  readonly #options: LoadOptions
  readonly #token = serviceToken()
  readonly #loops: Promise<void>[]
  readonly #stopping = new AbortController()
  #attempts = 0

  constructor(options: LoadOptions) {
    this.#options = options
    const { members, postsPerSecond, mixed } = options
    const intervalMs = (members.length / postsPerSecond) * 1_000
    this.#loops = members.map((memberId) => this.#posts(`${memberId}`, [memberId], intervalMs))
    this.#loops.push(this.#posts('all', undefined, broadcastEveryMs))
    if (!mixed) return
    const group = members.slice(0, groupSize)
    this.#loops.push(
      this.#posts('group', group, groupEveryMs),
      this.#reads(),
      ...mixed.producerUrls.map((url, index) => this.#tasks(url, index, mixed.onTask)),
    )
  }

  /** Resolves when each request that was begun has been accepted, and each task has ended. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await Promise.all(this.#loops)
  }

  #stopped(): boolean {
    return this.#stopping.signal.aborted
  }

  /** Waits, or until `stop` is called. */
  async #pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#stopping.signal }).catch(() => {})
  }

  async #posts(series: string, memberIds: readonly number[] | undefined, intervalMs: number): Promise<void> {
    await this.#pause(Math.random() * intervalMs)
    for (let count = 1; !this.#stopped(); count++) {
      await this.#post(memberIds, `${series}:${count}`)
      await this.#pause(intervalMs)
    }
  }

  async #post(memberIds: readonly number[] | undefined, text: string): Promise<void> {
    const content = { message: text, redirectPath: '/' }
    const path = memberIds ? '/notification/send' : '/notification/broadcast'
    const headers = { authorization: `Bearer ${this.#token}`, 'idempotency-key': randomUUID() }
    const answer = await this.#untilAccepted(path, headers, memberIds ? { memberIds, ...content } : content)
    const at = performance.now()
    const sent = memberIds
      ? (answer['notifications'] as { memberId: number; notificationId: number }[])
      : [{ memberId: undefined, notificationId: answer['notificationId'] as number }]
    for (const { memberId, notificationId } of sent) this.accepted.push({ text, memberId, notificationId, at })
  }

  async #reads(): Promise<void> {
    for (let count = 1; !this.#stopped(); count++) {
      await this.#pause(readEveryMs)
      const own = this.accepted.filter(({ memberId }) => memberId !== undefined)
      const { memberId, notificationId } = own[Math.floor(Math.random() * own.length)] ?? {}
      if (memberId === undefined) continue
      const headers = { cookie: `access_token=${memberToken(memberId)}`, origin: localOrigin }
      const all = count % readsPerReadAll === 0
      const path = all ? '/notification/read-all' : `/notification/${notificationId}/read`
      await this.#untilAccepted(path, headers, all ? { upTo: notificationId } : {})
    }
  }

  /** One task after the other, each with another member. */
  async #tasks(url: string, index: number, onTask: (taskId: string, memberId: number) => void): Promise<void> {
    const { members } = this.#options
    for (let count = 0; !this.#stopped(); count++) {
      const taskId = randomUUID()
      const memberId = members[(count * 2 + index) % members.length] as number
      onTask(taskId, memberId)
      let text = ''
      const work = runTask(
        { url, token: this.#token, memberId, kind: 'chaos', taskId, patienceMs: taskPatienceMs },
        async (task) => {
          for (let append = 0; append < taskAppends && !this.#stopped(); append++) {
            await task.append(`${append} `)
            text += `${append} `
            await this.#pause(appendEveryMs)
          }
        },
      )
      try {
        const status = await work
        if (status === 'succeeded') this.tasks.push({ taskId, memberId, text })
        else this.unexpected.push(`task ${status}`)
      } catch (error) {
        this.unexpected.push(`task: ${String(error)}`)
      }
    }
  }

  /** Repeats a request, at another notify-api each time, until it is accepted. Resolves to the body of the response. */
  async #untilAccepted(path: string, headers: Record<string, string>, body: unknown): Promise<Record<string, unknown>> {
    for (;;) {
      const apiUrls = this.#options.apiUrls()
      const url = apiUrls[this.#attempts++ % apiUrls.length] as string
      try {
        const response = await fetch(`${url}${path}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...headers },
          body: JSON.stringify(body),
          signal: AbortSignal.timeout(requestTimeoutMs),
        })
        const answer = (await response.json()) as Record<string, unknown>
        if (response.ok) return answer
        if (response.status !== 503 && response.status !== 409) {
          this.unexpected.push(`${path} ${response.status} ${JSON.stringify(answer)}`)
        }
      } catch {
        // The instance is down, or the response was lost: it is safe to repeat the request.
        this.unanswered++
      }
      this.refused++
      await delay(retryMs)
    }
  }
}
