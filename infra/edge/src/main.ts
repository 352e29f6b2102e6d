import type { AddressInfo } from 'node:net'
import { openLog, readConfig, run } from '@tidings/chassis'
import { buildEdge } from './build-edge.ts'
import { EdgeConfig } from './config.ts'

await run(async () => {
  const config = readConfig(EdgeConfig, process.env)
  const log = openLog('edge', config.logLevel)
  const app = await buildEdge(config, log)
  await app.listen({ host: config.host, port: config.port })
  log.info({ host: config.host, port: (app.server.address() as AddressInfo).port }, 'listening')
  return { log, closeTimeoutMs: 5_000, close: () => app.close() }
})
