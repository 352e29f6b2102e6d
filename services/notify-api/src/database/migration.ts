import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { type Log, RepeatedFailure, StartError } from '@tidings/chassis'
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise'
import { limitSilence } from './database.ts'
import { isAlreadyDone, isAway, isDenied, isErrorReply, isLoginRefused, isMissingTable, isTransient } from './error.ts'

/** The same path from `src` and from `dist`. */
const directory = new URL('../../migration/', import.meta.url)
const lockSeconds = 60
const connectTimeoutMs = 5_000
const reachableMs = 60_000
const retryMs = 1_000
/** Most repetitions because another instance was migrating at the same time: each of the files may collide more than once. */
const maxCollisions = 100
/** Longest random wait before such a repetition, so that the two do not stay in step. */
const collisionDelayMs = 100
const loginHint = 'Correct the user or the password; or, where the server requires TLS, add ?ssl=true'
const privilegeHint = 'infra/privilege lists the privileges of a service with MIGRATE=off, and those of npm run migrate'

export interface Migration {
  readonly name: string
  readonly sql: string
  readonly checksum: string
}

/**
 * Applies the migrations that the database lacks, in the order of their file names, and returns their names. Instances that start at the
 * same time wait for each other. Statements must be repeatable: no transaction rolls back DDL that fails halfway.
 *
 * @throws StartError when a file was changed after it was applied, or when another instance holds the lock for a minute.
 */
export async function migrate(url: string, migrations?: readonly Migration[]): Promise<string[]> {
  const files = migrations ?? (await readMigrations())
  const connection = await createConnection({ uri: url, multipleStatements: true, connectTimeout: connectTimeoutMs })
  try {
    // The lock of an instance whose host has vanished ends with its session.
    await connection.query(limitSilence())
    await lock(connection)
    await connection.query(
      'CREATE TABLE IF NOT EXISTS migration (name VARCHAR(255) NOT NULL PRIMARY KEY, checksum CHAR(64) NOT NULL, applied_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin',
    )
    // After the lock, so that migrations just applied by another instance are seen.
    const pending = await readPending(connection, files)
    for (const { name, sql, checksum } of pending) {
      await applyFile(connection, name, sql)
      await connection.query('INSERT INTO migration (name, checksum) VALUES (?, ?)', [name, checksum])
    }
    return pending.map((file) => file.name)
  } finally {
    connection.destroy() // ends the session, which releases the lock
  }
}

/**
 * Like `migrate`, but waits up to a minute for a database that is still starting. The lock is that of one node of a Galera cluster: two
 * instances at two nodes may apply the same file, and the later one fails with what the earlier one has done.
 *
 * @throws StartError when the database stays away, or the user lacks a privilege.
 */
export async function migrateWhenReachable(url: string, log: Log): Promise<void> {
  const applied = await whenReachable(log, async () => {
    for (let collisions = 0; ; ) {
      try {
        return await migrate(url)
      } catch (error) {
        if (!(isAlreadyDone(error) || isTransient(error)) || ++collisions > maxCollisions) throw error
        await delay(Math.random() * collisionDelayMs)
      }
    }
  })
  log.info({ applied }, 'migrated')
}

/**
 * Waits until every migration is applied by another process, for a service whose user may not change tables. Waits also for a database
 * that is still starting, up to a minute. Calls `onPending` when the database replies and lacks migrations.
 *
 * @throws StartError when the database stays away, the user lacks a privilege, or a file was changed after it was applied.
 */
export async function untilMigrated(url: string, log: Log, onPending: () => void): Promise<void> {
  const failure = new RepeatedFailure(log, 'waiting for npm run migrate, since MIGRATE is off')
  for (;;) {
    const pending = await whenReachable(log, () => pendingMigrations(url))
    if (pending.length === 0) return
    failure.failed(new Error(`the database lacks ${pending.join(', ')}`))
    onPending()
    await delay(retryMs)
  }
}

/** Repeats `work` until the database is reachable. */
async function whenReachable<T>(log: Log, work: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + reachableMs
  const failure = new RepeatedFailure(log, 'the database is not reachable yet')
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (error instanceof StartError) throw error
      // Its own message: no migration and no handshake quotes a notification.
      const { message } = error as Error
      const hint = isDenied(error) ? privilegeHint : isLoginRefused(error) ? loginHint : undefined
      if (hint !== undefined) throw new StartError(`MYSQL_URL: ${message}. ${hint}`)
      if (!isAway(error)) throw isErrorReply(error) ? new StartError(`MYSQL_URL: ${message}`) : error
      if (performance.now() > deadline) throw new StartError(`MYSQL_URL: the database is not reachable: ${message}`)
      failure.failed(new Error(message))
      await delay(retryMs)
    }
  }
}

async function pendingMigrations(url: string): Promise<string[]> {
  const files = await readMigrations()
  const connection = await createConnection({ uri: url, connectTimeout: connectTimeoutMs })
  try {
    return (await readPending(connection, files)).map(({ name }) => name)
  } catch (error) {
    if (isMissingTable(error)) return files.map(({ name }) => name)
    throw error
  } finally {
    connection.destroy()
  }
}

async function readPending(connection: Connection, files: readonly Migration[]): Promise<Migration[]> {
  const [rows] = await connection.query<(RowDataPacket & { name: string; checksum: string })[]>(
    'SELECT name, checksum FROM migration',
  )
  const applied = new Map(rows.map((row) => [row.name, row.checksum]))
  const changed = files.find((file) => (applied.get(file.name) ?? file.checksum) !== file.checksum)
  if (changed) throw new StartError(`${changed.name} was changed after it was applied: write a new one instead`)
  return files.filter((file) => !applied.has(file.name))
}

async function applyFile(connection: Connection, name: string, sql: string): Promise<void> {
  try {
    await connection.query(sql)
  } catch (error) {
    throw Object.assign(error as Error, { message: `${name}: ${(error as Error).message}` })
  }
}

async function readMigrations(): Promise<Migration[]> {
  const names = (await readdir(directory)).filter((name) => /^\d{4}_[a-z_]+\.sql$/.test(name)).toSorted()
  return Promise.all(
    names.map(async (name) => {
      const sql = (await readFile(new URL(name, directory), 'utf8')).replaceAll('\r\n', '\n')
      return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') }
    }),
  )
}

// Lock names are shared by all databases of a server, and at most 64 characters long.
async function lock(connection: Connection): Promise<void> {
  const [rows] = await connection.query<(RowDataPacket & { got: number | null })[]>(
    "SELECT GET_LOCK(CONCAT('migration:', LEFT(SHA2(DATABASE(), 256), 32)), ?) AS got",
    [lockSeconds],
  )
  if (rows[0]?.got !== 1) throw new StartError(`another instance has been migrating for ${lockSeconds} s`)
}
