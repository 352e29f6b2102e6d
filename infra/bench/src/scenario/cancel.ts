import {
  createDatabase,
  localOrigin,
  memberToken,
  type ServiceProcess,
  serviceToken,
  startRedis,
  startService,
  waitFor,
} from '@tidings/local'
import { createTask } from '@tidings/producer'
import type { Scenario } from './scenario.ts'

const cancels = (quick: boolean) => (quick ? 3 : 20)

/** Tidings only: the other systems have no tasks. */
export const cancel: Scenario = {
  name: 'cancel',
  title: () => 'Cancel: a member cancels a task whose producer streams and is silent',
  metrics: [
    { id: 'same', label: 'Cancel to end of the stream, same instance of notify-api', unit: 'ms', lowerIsBetter: true },
    { id: 'other', label: 'Cancel to end of the stream, another instance', unit: 'ms', lowerIsBetter: true },
  ],
  charts: [],
  async run({ environment, quick, record }) {
    const redis = await startRedis()
    const env = { MYSQL_URL: await createDatabase(environment.database.url, 'bench_cancel'), REDIS_URL: redis.url }
    const [api, other] = await Promise.all([startService('notify-api', env), startService('notify-api', env)])
    for (let count = 0; count < cancels(quick); count++) {
      record('Tidings', 'same', await cancelMs(api, api))
      record('Tidings', 'other', await cancelMs(api, other))
    }
    await Promise.all([api.stop(), other.stop()])
    await redis.stop()
  },
}

/** Resolves to the time from a member's cancel at `instance` to the end of the producer's stream, which goes to `api`. */
async function cancelMs(api: ServiceProcess, instance: ServiceProcess): Promise<number> {
  const task = await createTask({ url: api.url, token: serviceToken(), memberId: 1, kind: 'chat' })
  const streaming = task.pipe(silentAfterFirstToken()).catch(() => {})
  const textBytes = async () => {
    const response = await fetch(`${api.url}/task/${task.taskId}`, { headers: { authorization: `Bearer ${serviceToken()}` } })
    return ((await response.json()) as { textBytes: number }).textBytes
  }
  await waitFor(textBytes, { what: 'the first text of the stream' })
  const cancelledAt = performance.now()
  const headers = { cookie: `access_token=${memberToken(1)}`, origin: localOrigin, 'content-type': 'application/json' }
  const cancelling = fetch(`${instance.url}/task/${task.taskId}/cancel`, { method: 'POST', headers })
  await streaming
  const took = performance.now() - cancelledAt
  await cancelling
  return took
}

async function* silentAfterFirstToken(): AsyncGenerator<string, void> {
  yield 'thinking'
  await new Promise(() => {})
}
