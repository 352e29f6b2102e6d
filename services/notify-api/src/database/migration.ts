import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { type Log, RepeatedFailure } from '@tidings/chassis'
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise'
import { limitSilence } from './database.ts'
import { isAlreadyDone, isAway, isTransient } from './error.ts'

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

export interface Migration {
  readonly name: string
  readonly sql: string
  readonly checksum: string
}

/**
 * Applies the migrations that the database lacks, in the order of their file names, and returns their names. Instances that start at the
 * same time wait for each other. Statements must be repeatable: no transaction rolls back DDL that fails halfway.
 *
 * @throws Error when a file was changed after it was applied, or when another instance holds the lock for a minute.
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
    const [rows] = await connection.query<(RowDataPacket & { name: string; checksum: string })[]>(
      'SELECT name, checksum FROM migration',
    )
    const applied = new Map(rows.map((row) => [row.name, row.checksum]))
    const changed = files.find((file) => (applied.get(file.name) ?? file.checksum) !== file.checksum)
    if (changed) throw new Error(`${changed.name} was changed after it was applied: write a new one instead`)
    const pending = files.filter((file) => !applied.has(file.name))
    for (const { name, sql, checksum } of pending) {
      await connection.query(sql)
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
 */
export async function migrateWhenReachable(url: string, log: Log): Promise<void> {
  const deadline = performance.now() + reachableMs
  const failure = new RepeatedFailure(log, 'the database is not reachable yet')
  for (let collisions = 0; ; ) {
    try {
      const applied = await migrate(url)
      log.info({ applied }, 'migrated')
      return
    } catch (error) {
      if ((isAlreadyDone(error) || isTransient(error)) && ++collisions <= maxCollisions) {
        await delay(Math.random() * collisionDelayMs)
        continue
      }
      if (!isAway(error) || performance.now() > deadline) throw error
      failure.failed(error)
      await delay(retryMs)
    }
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
  if (rows[0]?.got !== 1) throw new Error(`another instance has been migrating for ${lockSeconds} s`)
}
