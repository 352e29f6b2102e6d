import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createConnection, type RowDataPacket } from 'mysql2/promise'
import { freePort } from './free-port.ts'
import { type Exit, type OwnedProcess, spawnOwned } from './owned-process.ts'
import { findProgram } from './program.ts'

/** A private MariaDB or MySQL on a free loopback port, with an empty database `tidings`. */
export interface DatabaseServer {
  readonly url: string
  readonly process: OwnedProcess
  /** Clean shutdown; removes its data unless a directory was given. */
  stop(): Promise<Exit>
}

export interface DatabaseOptions {
  /** Directory that keeps the data between runs; a temporary one by default. */
  readonly directory?: string
  readonly onLine?: (line: string) => void
  /** A free one by default. */
  readonly port?: number
  /** Creates the user and the database; true by default. */
  readonly grant?: boolean
  /** System user that the server of a root user runs as; root by default. The directory must be its own. */
  readonly user?: string
  /** Further command line options of the server. */
  readonly flags?: readonly string[]
}

const isRoot = process.getuid?.() === 0
const grants = [
  'CREATE DATABASE IF NOT EXISTS tidings CHARACTER SET utf8mb4;',
  "CREATE USER IF NOT EXISTS 'tidings'@'%' IDENTIFIED BY 'tidings';",
  "GRANT ALL PRIVILEGES ON *.* TO 'tidings'@'%' WITH GRANT OPTION;",
]

export async function startDatabase(options: DatabaseOptions = {}): Promise<DatabaseServer> {
  const { directory, onLine, grant = true, user = 'root', flags = [] } = options
  const program = findProgram('mariadbd', 'mysqld')
  if (!program) throw new Error('neither mariadbd nor mysqld is installed: npm test and npm start install one')
  const temporary = directory ? undefined : mkdtempSync(join(tmpdir(), 'tidings-database-'))
  const as = isRoot ? [`--user=${user}`] : []
  const home = directory ?? temporary ?? ''
  const mariadb = isMariadb(program)
  // MariaDB and MySQL cannot read each other's data.
  const data = join(home, mariadb ? 'mariadb' : 'mysql')
  const grantsFile = join(home, 'grants.sql')
  if (!existsSync(data)) await initialise({ program, mariadb, as, data, temporary })
  writeFileSync(grantsFile, grants.join('\n'))

  const launch = async (attempt: number): Promise<DatabaseServer> => {
    const port = options.port ?? (await freePort())
    const server = spawnOwned({
      name: 'database',
      command: program,
      args: [
        '--no-defaults',
        ...as,
        `--datadir=${data}`,
        // A starting server removes the temporary tables of every other server in the same tmpdir.
        `--tmpdir=${home}`,
        // Relative to the data directory: an absolute path may exceed the length limit of a Unix socket.
        '--socket=socket',
        '--pid-file=pid',
        '--bind-address=127.0.0.1',
        `--port=${port}`,
        '--skip-name-resolve',
        '--loose-mysqlx=OFF',
        ...(grant ? [`--init-file=${grantsFile}`] : []),
        ...flags,
      ],
      temporaryDirectory: temporary,
      onLine,
    })
    try {
      await server.firstLine((line) => (line.includes('ready for connections') ? true : undefined), 30_000)
    } catch (error) {
      await server.kill()
      if (attempt < 3 && options.port === undefined && server.logs.some((line) => /Address already in use/i.test(line)))
        return launch(attempt + 1)
      throw error
    }
    return {
      url: `mysql://tidings:tidings@127.0.0.1:${port}/tidings`,
      process: server,
      stop: async () => {
        const exit = await server.stop(20_000)
        if (temporary) rmSync(temporary, { recursive: true, force: true })
        return exit
      },
    }
  }
  return launch(1)
}

/** Creates an empty utf8mb4 database, replacing one of the same name, and resolves to its URL. Each test file uses its own. */
export async function createDatabase(serverUrl: string, name: string): Promise<string> {
  const connection = await createConnection(serverUrl)
  try {
    await connection.query('DROP DATABASE IF EXISTS ??', [name])
    await connection.query('CREATE DATABASE ?? CHARACTER SET utf8mb4', [name])
  } finally {
    await connection.end()
  }
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  return url.href
}

/** Runs one statement on a connection of its own, and resolves to its rows. */
export async function queryDatabase<Row>(url: string, sql: string): Promise<Row[]> {
  const connection = await createConnection(url)
  try {
    const [rows] = await connection.query<RowDataPacket[]>(sql)
    return rows as Row[]
  } finally {
    await connection.end()
  }
}

/**
 * Creates the system tables: MariaDB with a script, MySQL with the server itself. Writes to a fresh directory and renames it at the end,
 * so that an interrupted run leaves no half of a data directory.
 */
async function initialise({
  program,
  mariadb,
  as,
  data,
  temporary,
}: {
  program: string
  mariadb: boolean
  as: readonly string[]
  data: string
  temporary: string | undefined
}): Promise<void> {
  const home = dirname(data)
  mkdirSync(home, { recursive: true })
  const fresh = mkdtempSync(join(home, 'fresh-'))
  const installer = findProgram('mariadb-install-db')
  const [command, options] =
    mariadb && installer
      ? [installer, ['--force', '--skip-test-db', '--innodb-log-file-size=8M']]
      : [program, ['--initialize-insecure']]
  const args = ['--no-defaults', ...as, ...options, `--datadir=${fresh}`, `--tmpdir=${home}`]
  const { exited, logs } = spawnOwned({ name: 'database', command, args, temporaryDirectory: temporary ?? fresh })
  const { code } = await exited
  if (code !== 0) throw new Error(['the database could not be initialised', ...logs.slice(-20)].join('\n'))
  renameSync(fresh, data)
}

function isMariadb(program: string): boolean {
  return spawnSync(program, ['--version'], { encoding: 'utf8' }).stdout.includes('MariaDB')
}
