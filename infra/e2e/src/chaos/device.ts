import { setTimeout as delay } from 'node:timers/promises'
import { memberToken, openRawSession, type RawSession, type ServerFrame } from '@tidings/local'
import { nextTaskState, type ReadMessage, type TaskMessage, type TaskState } from '@tidings/protocol'

export const notificationQueue = '/member/queue/notification'
export const broadcastTopic = '/topic/all'
export const readQueue = '/member/queue/read'
const sessionQueue = '/member/queue/session'
const taskQueue = '/member/queue/task.'
const destinations = [notificationQueue, broadcastTopic, readQueue] as const

/** One publication as the device received it. */
export interface Arrival {
  readonly destination: string
  readonly text: string
  readonly notificationId: number
  readonly memberId: number | undefined
  readonly at: number
}

const reconnectMs = 50
const silenceMs = 600_000

/**
 * A browser of one member with a plain STOMP client: reconnects, resumes each destination after its last message, and notes each
 * publication and each time it is told that publications were lost.
 */
export class Device {
  readonly memberId: number
  readonly arrivals: Arrival[] = []
  /** When the device was told of a loss (`gap`, or `recovered:false`), by destination, in ms of `performance.now()`. */
  readonly told = new Map<string, number>()
  timesTold = 0
  /** Ids that are read, as the device was told. */
  readonly read = new Set<number>()
  /** State of each task that the device follows; undefined before its first message. */
  readonly tasks = new Map<string, TaskState | undefined>()
  /** Positions of one epoch that did not come one after the other. */
  holes = 0
  readonly #gatewayUrls: () => readonly string[]
  readonly #positions = new Map<string, string>()
  #session: RawSession | undefined
  /** True from CONNECTED on. */
  #connected = false
  #stopped = false
  #away = false
  #attempt: number

  /** `gatewayUrls`: tried in turn, beginning with the one at `first`. */
  constructor(memberId: number, first: number, gatewayUrls: () => readonly string[]) {
    this.memberId = memberId
    this.#attempt = first
    this.#gatewayUrls = gatewayUrls
    void this.#run()
  }

  /** True once every destination is subscribed. */
  get subscribed(): boolean {
    return this.#session !== undefined && destinations.every((destination) => this.#positions.has(destination))
  }

  /** Subscribes to a task, which may not exist yet. */
  follow(taskId: string): void {
    this.tasks.set(taskId, undefined)
    this.#subscribe(taskQueue + taskId)
  }

  /** True while there is a connection. */
  get connected(): boolean {
    return this.#session !== undefined
  }

  /** Drops the connection and stays away until `comeBack`. */
  leave(): void {
    this.#away = true
    this.#session?.socket.terminate()
  }

  comeBack(): void {
    this.#away = false
  }

  stop(): void {
    this.#stopped = true
    this.#session?.socket.terminate()
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      if (!this.#away) await this.#connection().catch(() => {}) // refused or lost: try the next gateway
      this.#session = undefined
      await delay(reconnectMs)
    }
  }

  async #connection(): Promise<void> {
    const urls = this.#gatewayUrls()
    const session = await openRawSession(urls[this.#attempt++ % urls.length] as string, { token: memberToken(this.memberId) })
    if ('status' in session) return
    if (this.#away || this.#stopped) return session.socket.terminate()
    this.#session = session
    try {
      session.sends('CONNECT\naccept-version:1.2\nhost:localhost\nheart-beat:0,0\n\n\0')
      await session.nextFrame()
      session.sends(`SUBSCRIBE\nid:${sessionQueue}\ndestination:${sessionQueue}\n\n\0`)
      this.#connected = true
      for (const destination of destinations) this.#subscribe(destination)
      for (const [taskId, state] of this.tasks) if (!isOver(state)) this.#subscribe(taskQueue + taskId)
      while (!this.#stopped) this.#receive(await session.nextFrame(silenceMs))
    } finally {
      this.#connected = false
      session.socket.terminate()
    }
  }

  #subscribe(destination: string): void {
    if (!this.#connected) return // once it is
    const position = this.#positions.get(destination)
    const resume = position === undefined ? '' : `last-message-id:${position}\n`
    this.#session?.sends(`SUBSCRIBE\nid:${destination}\ndestination:${destination}\nreceipt:${destination}\n${resume}\n\0`)
  }

  #receive({ command, headers, body }: ServerFrame): void {
    if (command === 'RECEIPT') {
      const destination = headers.get('receipt-id') ?? ''
      this.#positions.set(destination, headers.get('position') ?? '')
      if (headers.get('recovered') === 'false') this.#tell(destination)
      return
    }
    if (command !== 'MESSAGE') throw new Error(`${command} ${body}`)
    const destination = headers.get('subscription') ?? ''
    if (destination === sessionQueue) {
      const message = JSON.parse(body) as { type: string; destination?: string }
      if (message.type === 'gap') this.#tell(message.destination ?? '')
      return
    }
    const position = headers.get('message-id') ?? ''
    if (destination.startsWith(taskQueue)) return this.#receiveTask(destination, position, JSON.parse(body) as TaskMessage)
    this.#advance(destination, position)
    if (destination === readQueue) {
      const event = JSON.parse(body) as ReadMessage
      if ('notificationIds' in event) for (const id of event.notificationIds) this.read.add(id)
      return
    }
    const { message, notificationId, memberId } = JSON.parse(body) as {
      message: string
      notificationId: number
      memberId?: number
    }
    this.arrivals.push({ destination, text: message, notificationId, memberId, at: performance.now() })
  }

  #receiveTask(destination: string, position: string, message: TaskMessage): void {
    // A snapshot stands for the events before it.
    if (message.type === 'snapshot') this.#positions.set(destination, position)
    else this.#advance(destination, position)
    const taskId = destination.slice(taskQueue.length)
    this.tasks.set(taskId, nextTaskState(this.tasks.get(taskId), message))
  }

  #advance(destination: string, position: string): void {
    const [epoch, offset] = position.split('-')
    const [lastEpoch, lastOffset] = (this.#positions.get(destination) ?? '').split('-')
    if (epoch === lastEpoch && Number(offset) !== Number(lastOffset) + 1) this.holes++
    this.#positions.set(destination, position)
  }

  #tell(destination: string): void {
    this.timesTold++
    this.told.set(destination, performance.now())
  }
}

export function isOver(state: TaskState | undefined): boolean {
  return state !== undefined && state.status !== 'queued' && state.status !== 'running'
}
