import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type DatabaseServer, startDatabase } from './database.ts'
import { freePort } from './free-port.ts'
import type { Exit } from './owned-process.ts'

/** One node of a {@link Galera}. All nodes take writes. */
export interface GaleraNode {
  /** Of the database `tidings`; the same after a restart. */
  readonly url: string
  /** Starts the node, which joins the cluster, and resolves when it takes commands. */
  start(): Promise<void>
  /** Leaves the cluster and stops. */
  stop(): Promise<Exit>
  /** SIGKILL: the others notice after some seconds. */
  kill(): Promise<Exit>
}

/** Two MariaDB nodes that replicate each other. Alone, only the first one has a quorum. The second one is not started yet. */
export interface Galera {
  readonly nodes: readonly [GaleraNode, GaleraNode]
  close(): Promise<void>
}

// Of Debian and Ubuntu, and of Fedora.
const libraries = [
  '/usr/lib/galera/libgalera_smm.so',
  '/usr/lib64/galera/libgalera_smm.so',
  '/usr/lib64/galera-4/libgalera_smm.so',
]

/** Returns the library that makes a MariaDB server a Galera node, or undefined. Debian installs it with the server. */
export function findGalera(): string | undefined {
  return libraries.find((path) => existsSync(path))
}

export async function startGalera(): Promise<Galera> {
  const library = findGalera()
  if (!library) throw new Error('galera-4 is not installed')
  const directory = mkdtempSync(join(tmpdir(), 'tidings-galera-'))
  await own(directory)
  const groupPorts = [await freePort(), await freePort()] as const
  const address = `gcomm://${groupPorts.map((port) => `127.0.0.1:${port}`).join(',')}`
  const node = async (index: 0 | 1): Promise<GaleraNode> => {
    const home = join(directory, String(index + 1))
    const [port, transferPort, incrementalPort] = [await freePort(), await freePort(), await freePort()]
    const groupPort = groupPorts[index]
    const provider = {
      base_host: '127.0.0.1',
      base_port: groupPort,
      'gmcast.listen_addr': `tcp://127.0.0.1:${groupPort}`,
      'ist.recv_addr': `127.0.0.1:${incrementalPort}`,
      'gcache.size': '16M',
      // A dead node is noticed sooner than by default, after 5 s.
      'evs.keepalive_period': 'PT0.5S',
      'evs.inactive_check_period': 'PT0.5S',
      'evs.suspect_timeout': 'PT2S',
      'evs.install_timeout': 'PT3S',
      'pc.weight': index === 0 ? 2 : 1,
    }
    const flags = [
      '--binlog-format=ROW',
      '--innodb-autoinc-lock-mode=2',
      '--innodb-flush-log-at-trx-commit=0',
      '--wsrep-on=ON',
      `--wsrep-provider=${library}`,
      '--wsrep-cluster-name=tidings',
      `--wsrep-cluster-address=${address}`,
      `--wsrep-node-name=node-${index + 1}`,
      '--wsrep-node-address=127.0.0.1',
      `--wsrep-sst-receive-address=127.0.0.1:${transferPort}`,
      '--wsrep-sst-method=rsync',
      '--wsrep-slave-threads=2',
      `--wsrep-provider-options=${Object.entries(provider)
        .map(([name, value]) => `${name}=${value}`)
        .join(';')}`,
    ]
    let server: DatabaseServer | undefined
    const start = async (more: readonly string[] = []) => {
      server = await startDatabase({
        onLine: (l) => process.env['GDBG'] && console.log(index + 1, l),
        directory: home,
        port,
        flags: [...flags, ...more],
        grant: index === 0,
        user,
      })
    }
    await ownDirectory(home)
    if (index === 0) await start(['--wsrep-new-cluster'])
    // The state transfer fills it.
    else await ownDirectory(join(home, 'mariadb'))
    const end = async (by: 'stop' | 'kill') => (await server?.process[by]()) ?? { code: null, signal: null }
    return {
      url: `mysql://tidings:tidings@127.0.0.1:${port}/tidings`,
      start: () => start(),
      stop: () => end('stop'),
      kill: () => end('kill'),
    }
  }
  const nodes = [await node(0), await node(1)] as const
  return {
    nodes,
    async close() {
      await Promise.all(nodes.map((each) => each.kill()))
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** Not root: rsync, which transfers the state to a joining node, would give the files to the user `nobody`. */
const user = 'mysql'

async function ownDirectory(path: string): Promise<void> {
  mkdirSync(path)
  await own(path)
}

async function own(path: string): Promise<void> {
  if (process.getuid?.() === 0) await promisify(execFile)('chown', [user, path])
}
