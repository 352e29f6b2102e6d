import { Client } from '@stomp/stompjs'
import { createDatabase, freeServicePort, localOrigin, memberToken, startRedis, startService, waitFor } from '@tidings/local'
import { nextTaskState, type TaskMessage, type TaskState } from '@tidings/protocol'
import { inject } from 'vitest'
import { WebSocket } from 'ws'

const start = { deadlineMs: 30_000 }

/** Two notify-apis and two gateways on a Redis of their own. The first of each may be ended and started again. */
export async function openTaskStack(name: string, env: NodeJS.ProcessEnv = {}) {
  const [databaseUrl, redis] = await Promise.all([createDatabase(inject('databaseServerUrl'), `e2e_${name}`), startRedis()])
  const forApi = { MYSQL_URL: databaseUrl, REDIS_URL: redis.url, ...env }
  const apis = await Promise.all([
    startService('notify-api', { ...forApi, ...(await portsToKeep()) }, start),
    startService('notify-api', forApi, start),
  ])
  const forGateway = { REDIS_URL: redis.url, NOTIFY_API_URL: apis[1].url, DRAIN_SECONDS: '1' }
  const gateways = await Promise.all([
    startService('realtime-gateway', { ...forGateway, ...(await portsToKeep()) }, start),
    startService('realtime-gateway', forGateway, start),
  ])
  return {
    redis,
    apis,
    gateways,
    async close() {
      await Promise.all([...apis, ...gateways].map((service) => service.kill()))
      await redis.kill()
    },
  }
}

/** For one that is started again: the system gives none of these to a connection while nothing listens on it. */
async function portsToKeep(): Promise<NodeJS.ProcessEnv> {
  return { PORT: String(await freeServicePort()), OPS_PORT: String(await freeServicePort()) }
}

/** A browser that follows one task with a plain STOMP client, and resumes by the last position it saw. */
export class Device {
  state: TaskState | undefined
  snapshots = 0
  /** Messages that begin it anew: `snapshot` or `created`. */
  begins = 0
  /** Messages of type `finished`. */
  ends = 0
  readonly #client: Client

  constructor(gatewayUrl: string, memberId: number, taskId: string) {
    let position: string | undefined
    this.#client = new Client({
      webSocketFactory: () =>
        new WebSocket(`${gatewayUrl.replace('http', 'ws')}/ws`, ['v12.stomp'], {
          headers: { cookie: `access_token=${memberToken(memberId)}`, origin: localOrigin },
        }),
      reconnectDelay: 50,
      onConnect: () => {
        const destination = `/member/queue/task.${taskId}`
        this.#client.subscribe(
          destination,
          ({ headers, body }) => {
            const message = JSON.parse(body) as TaskMessage
            if (message.type === 'snapshot') this.snapshots++
            if (message.type === 'snapshot' || message.type === 'created') this.begins++
            if (message.type === 'finished') this.ends++
            this.state = nextTaskState(this.state, message)
            position = headers['message-id']
          },
          position === undefined ? {} : { 'last-message-id': position },
        )
      },
    })
    this.#client.activate()
  }

  get text(): string {
    return this.state?.text ?? ''
  }

  async sees(fact: () => boolean, what: string, deadlineMs = 20_000): Promise<void> {
    await waitFor(fact, { deadlineMs, what })
  }

  async connected(): Promise<void> {
    await waitFor(() => this.#client.connected, { what: 'the connection', deadlineMs: 20_000 })
  }

  cancels(taskId: string): void {
    this.#client.publish({ destination: '/publish/task/cancel', body: JSON.stringify({ taskId }) })
  }

  async leaves(): Promise<void> {
    await this.#client.deactivate()
  }
}
