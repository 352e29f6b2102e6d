import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createConnection } from 'mysql2/promise'
import { describe, expect, inject, onTestFinished, test } from 'vitest'
import { createDatabase, startDatabase } from './database.ts'
import { freePort, isFree } from './free-port.ts'
import { startRedis } from './redis.ts'
import { redisCommand } from './redis.test.fixture.ts'

function keptDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'tidings-test-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

async function query(url: string, sql: string): Promise<unknown> {
  const connection = await createConnection(url)
  const [rows] = await connection.query(sql)
  await connection.end()
  return rows
}

describe('the database server', () => {
  test('creates an empty utf8mb4 database for each test file', async () => {
    const url = await createDatabase(inject('databaseServerUrl'), 'local_server_test')
    await query(url, 'CREATE TABLE t (a INT)')
    expect(await createDatabase(inject('databaseServerUrl'), 'local_server_test')).toBe(url)
    expect(await query(url, 'SHOW TABLES')).toEqual([])
    expect(await query(url, 'SELECT @@character_set_database AS charset')).toEqual([{ charset: 'utf8mb4' }])
  })

  test('keeps its data in a directory between runs', async () => {
    const directory = keptDirectory()
    const first = await startDatabase({ directory })
    await query(first.url, 'CREATE TABLE kept (a INT)')
    expect(await first.stop()).toEqual({ code: 0, signal: null })
    const second = await startDatabase({ directory })
    expect(await query(second.url, 'SELECT * FROM kept')).toEqual([])
    await second.process.kill()
    const third = await startDatabase({ directory })
    expect(await query(third.url, 'SELECT * FROM kept')).toEqual([])
    await third.stop()
  }, 120_000)
})

describe('redis', () => {
  test('restarts empty on the same port', async () => {
    const redis = await startRedis()
    expect(await redisCommand(redis.port, 'SET a 1')).toBe('+OK')
    const { pid } = redis.process
    await redis.restart()
    expect(redis.process.pid).not.toBe(pid)
    expect(await redisCommand(redis.port, 'GET a')).toBe('$-1')
    await redis.stop()
    expect(await isFree(redis.port)).toBe(true)
  })

  test('keeps its data in a directory between runs', async () => {
    const directory = keptDirectory()
    const redis = await startRedis({ directory })
    await redisCommand(redis.port, 'SET a 1')
    await redis.stop()
    const again = await startRedis({ directory })
    expect(await redisCommand(again.port, 'GET a')).toBe('$1')
    await again.stop()
  })

  test('replies to nothing while paused, and to everything after', async () => {
    const redis = await startRedis()
    redis.pause()
    const first = redisCommand(redis.port, 'PING')
    expect(await Promise.race([first, isFree(redis.port)])).toBe(false)
    redis.resume()
    expect(await first).toBe('+PONG')
    await redis.kill()
    expect(await isFree(redis.port)).toBe(true)
  })

  test('rejects when its port is taken', async () => {
    const redis = await startRedis()
    await expect(startRedis({ port: redis.port })).rejects.toThrow(/redis ended.*Address already in use/s)
    await redis.stop()
  })
})

test('free ports lie below the range of outgoing connections', async () => {
  const port = await freePort()
  expect(port).toBeGreaterThanOrEqual(20_000)
  expect(port).toBeLessThan(32_000)
})
