import { Emitter } from '@socket.io/redis-emitter'
import { startRedis } from '@tidings/local'
import { Redis } from 'ioredis'
import { type Environment, newDatabase, startProgram, type System, type SystemKind } from './system.ts'
import { installedVersion } from './installed-version.ts'

export const socketIo: SystemKind = {
  name: 'Socket.IO',
  version: `socket.io ${installedVersion('socket.io')}, @socket.io/redis-adapter ${installedVersion('@socket.io/redis-adapter')}`,
  start: startSocketIo,
}

async function startSocketIo(environment: Environment): Promise<System> {
  const redis = await startRedis()
  const server = await startProgram('socket-io-server', { REDIS_URL: redis.url, MYSQL_URL: await newDatabase(environment) })
  const client = new Redis(redis.url)
  const emitter = new Emitter(client)
  return {
    name: 'Socket.IO',
    endpoint: { wire: 'socket.io', port: server.port },
    gateway: server.process,
    services: [server.process],
    redis,
    postUrl: `http://127.0.0.1:${server.port}`,
    async publish(target, body) {
      const room = target === 'all' ? emitter : emitter.to(`member:${target}`)
      room.emit('notification', JSON.parse(body))
    },
    async stop() {
      client.disconnect()
      await server.process.stop()
      await redis.stop()
    },
  }
}
