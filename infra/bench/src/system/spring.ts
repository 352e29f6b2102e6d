import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { freeServicePort, spawnOwned, startRedis } from '@tidings/local'
import { Redis } from 'ioredis'
import { buildDirectory, required, root } from './build.ts'
import { type Environment, newDatabase, startServer, type System, type SystemKind } from './system.ts'

const project = join(root, 'infra/bench/spring')
const jar = join(project, 'target/bench.jar')

/** Spring Boot with the simple broker, Redis Pub/Sub and JdbcTemplate, as most tutorials write it. */
export const spring: SystemKind = { name: 'Spring', version: 'Spring Boot 3.5.16, simple broker', prepare, start: startSpring }

async function prepare(): Promise<void> {
  const java = required('java')
  if (existsSync(jar) && java) return
  const args = ['-q', '-B', `-Dmaven.repo.local=${join(buildDirectory, 'maven')}`, '-f', join(project, 'pom.xml'), 'package']
  const build = spawnOwned({ name: 'mvn', command: required('mvn'), args, env: process.env })
  const { code } = await build.exited
  if (code !== 0) throw new Error(['the Spring application could not be built', ...build.logs.slice(-20)].join('\n'))
}

async function startSpring(environment: Environment): Promise<System> {
  const redis = await startRedis()
  const port = await freeServicePort()
  const { host, pathname, username, password } = new URL(await newDatabase(environment))
  const env = {
    PORT: String(port),
    REDIS_URL: redis.url,
    JDBC_URL: `jdbc:mysql://${host}${pathname}`,
    DB_USER: username,
    DB_PASSWORD: password,
  }
  const server = await startServer('spring', required('java'), ['-Xmx1g', '-jar', jar], env, /^listening/)
  const publisher = new Redis(redis.url)
  return {
    name: 'Spring',
    endpoint: { wire: 'stomp-unconfirmed', port },
    gateway: server,
    services: [server],
    redis,
    postUrl: `http://127.0.0.1:${port}`,
    publish: (target, body) => publisher.publish(target === 'all' ? 'broadcast:all' : `member:${target}:notification`, body),
    async stop() {
      publisher.disconnect()
      await server.stop()
      await redis.stop()
    },
  }
}
