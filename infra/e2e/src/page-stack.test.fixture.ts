import {
  createDatabase,
  freeServicePort,
  type RedisServer,
  type ServiceProcess,
  serviceToken,
  startRedis,
  startService,
} from '@tidings/local'

/** One notify-api, two gateways and the edge that serves the built page, each in a process of its own. */
export interface PageStack {
  readonly url: string
  readonly notifyApi: ServiceProcess
  readonly gateways: readonly ServiceProcess[]
  /** Posts as a product backend does, and answers what notify-api said. */
  send(body: object): Promise<Sent>
  /** Any other call of a product backend; answers its status. */
  post(path: string, body: object): Promise<number>
  stop(): Promise<void>
}

export interface Sent {
  readonly notificationId: number
  readonly online: boolean | null
}

const deadlineMs = 60_000

export async function startPageStack(databaseServerUrl: string, name: string): Promise<PageStack> {
  const port = await freeServicePort()
  const url = `http://localhost:${port}`
  const [mysqlUrl, redis] = await Promise.all([createDatabase(databaseServerUrl, name), startRedis()])
  const shared = { REDIS_URL: redis.url, ALLOWED_ORIGINS: url }
  const started: (RedisServer | ServiceProcess)[] = [redis]
  const start = async (...[service, env]: Parameters<typeof startService>) => {
    const process = await startService(service, { ...shared, ...env }, { deadlineMs })
    started.push(process)
    return process
  }
  const notifyApi = await start('notify-api', { MYSQL_URL: mysqlUrl })
  const gateway = () => start('realtime-gateway', { NOTIFY_API_URL: notifyApi.url, DRAIN_SECONDS: '1' })
  const gateways = await Promise.all([gateway(), gateway()])
  await start('edge', {
    PORT: String(port),
    GATEWAY_URLS: gateways.map((each) => each.url).join(','),
    NOTIFY_API_URL: notifyApi.url,
    EDGE_LOGIN: 'local',
  })
  return {
    url,
    notifyApi,
    gateways,
    send: async (body) => {
      const response = await post(`${url}/notification/send`, body)
      if (response.status !== 201) throw new Error(`send answered ${response.status} ${await response.text()}`)
      return (await response.json()) as Sent
    },
    post: async (path, body) => (await post(url + path, body)).status,
    stop: async () => {
      for (const part of started.toReversed()) await part.stop()
    },
  }
}

function post(url: string, body: object): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${serviceToken()}` },
    body: JSON.stringify(body),
  })
}
