import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createConnection } from 'mysql2/promise'
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
  /** Where its data stays from one run to the next. A temporary directory otherwise. */
  readonly directory?: string
  readonly onLine?: (line: string) => void
  /** Further options of the server's command line. */
  readonly flags?: readonly string[]
}

const asRoot = process.getuid?.() === 0 ? ['--user=root'] : []
const grants = [
  'CREATE DATABASE IF NOT EXISTS tidings CHARACTER SET utf8mb4;',
  "CREATE USER IF NOT EXISTS 'tidings'@'%' IDENTIFIED BY 'tidings';",
  "GRANT ALL PRIVILEGES ON *.* TO 'tidings'@'%';",
]

export async function startDatabase({ directory, onLine, flags = [] }: DatabaseOptions = {}): Promise<DatabaseServer> {
  const program = findProgram('mariadbd', 'mysqld')
  if (!program) throw new Error('neither mariadbd nor mysqld is installed: npm test and npm start install one')
  const temporary = directory ? undefined : mkdtempSync(join(tmpdir(), 'tidings-database-'))
  const home = directory ?? temporary ?? ''
  const mariadb = isMariadb(program)
  // Neither reads the other's data.
  const data = join(home, mariadb ? 'mariadb' : 'mysql')
  const grantsFile = join(home, 'grants.sql')
  if (!existsSync(data)) await initialise(program, mariadb, data, temporary)
  writeFileSync(grantsFile, grants.join('\n'))

  const launch = async (attempt: number): Promise<DatabaseServer> => {
    const port = await freePort()
    const server = spawnOwned({
      name: 'database',
      command: program,
      args: [
        '--no-defaults',
        ...asRoot,
        `--datadir=${data}`,
        // A server that starts removes the temporary tables of all others that share its directory.
        `--tmpdir=${home}`,
        // Relative to the data directory: an absolute path may be longer than a socket's may be.
        '--socket=socket',
        '--pid-file=pid',
        '--bind-address=127.0.0.1',
        `--port=${port}`,
        '--skip-name-resolve',
        '--loose-mysqlx=OFF',
        `--init-file=${grantsFile}`,
        ...flags,
      ],
      temporaryDirectory: temporary,
      onLine,
    })
    try {
      await server.firstLine((line) => (line.includes('ready for connections') ? true : undefined), 30_000)
    } catch (error) {
      await server.kill()
      if (attempt < 3 && server.logs.some((line) => /Address already in use/i.test(line))) return launch(attempt + 1)
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

/** Creates an empty utf8mb4 database on the server, replacing one of that name, and gives its URL: one for each test file. */
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

/** MariaDB has a script for this; MySQL's server does it itself. Into a directory aside first, so that half of it is never taken for all. */
async function initialise(program: string, mariadb: boolean, data: string, temporary: string | undefined): Promise<void> {
  const home = dirname(data)
  mkdirSync(home, { recursive: true })
  const fresh = mkdtempSync(join(home, 'fresh-'))
  const installer = findProgram('mariadb-install-db')
  const [command, options] =
    mariadb && installer
      ? [installer, ['--force', '--skip-test-db', '--innodb-log-file-size=8M']]
      : [program, ['--initialize-insecure']]
  const args = ['--no-defaults', ...asRoot, ...options, `--datadir=${fresh}`, `--tmpdir=${home}`]
  const { exited, logs } = spawnOwned({ name: 'database', command, args, temporaryDirectory: temporary ?? fresh })
  const { code } = await exited
  if (code !== 0) throw new Error(['the database could not be initialised', ...logs.slice(-20)].join('\n'))
  renameSync(fresh, data)
}

function isMariadb(program: string): boolean {
  return spawnSync(program, ['--version'], { encoding: 'utf8' }).stdout.includes('MariaDB')
}
