import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freeServicePort } from './free-port.ts'
import { type OwnedProcess, spawnOwned } from './owned-process.ts'
import { findProgram } from './program.ts'
import { waitFor } from './wait-for.ts'

const shipped = join(import.meta.dirname, '../../edge/nginx.conf')

export interface Nginx extends OwnedProcess {
  readonly url: string
  /** With `tls`: the address of the server for TLS and HTTP/2. */
  readonly tlsUrl: string | undefined
  /** Returns the lines of the access log. */
  requests(): string[]
  /** Returns how many responses had each status. */
  statuses(): Record<string, number>
}

export interface NginxOptions {
  /** Two of each. */
  readonly apiPorts: readonly [number, number]
  readonly gatewayPorts: readonly [number, number]
  /** PEM files of a certificate for 127.0.0.1. */
  readonly tls?: { readonly certificate: string; readonly key: string }
}

/** Starts nginx with the shipped configuration, other ports in place of its own, and resolves once it serves notify-api. */
export async function startNginx({ apiPorts, gatewayPorts, tls }: NginxOptions): Promise<Nginx> {
  const program = findProgram('nginx')
  if (!program) throw new Error('nginx is not installed: npm test installs it on Debian')
  const directory = mkdtempSync(join(tmpdir(), 'tidings-nginx-'))
  const port = await freeServicePort()
  const tlsPort = tls && (await freeServicePort())
  const accessLog = join(directory, 'access.log')
  const replacements = [
    ['listen 8080', `listen 127.0.0.1:${port}`],
    ['127.0.0.1:8081', `127.0.0.1:${apiPorts[0]}`],
    ['127.0.0.1:8084', `127.0.0.1:${apiPorts[1]}`],
    ['127.0.0.1:8082', `127.0.0.1:${gatewayPorts[0]}`],
    ['127.0.0.1:8083', `127.0.0.1:${gatewayPorts[1]}`],
    // Where a user other than root may write, too.
    ['http {', `http { access_log ${accessLog}; ${temporaryPaths(directory)}`],
    ...(tls ? tlsReplacements(program, `127.0.0.1:${tlsPort}`, tls) : []),
  ] as const
  let text = readFileSync(shipped, 'utf8')
  for (const [own, other] of replacements) {
    if (!text.includes(own)) throw new Error(`${shipped} does not contain ${own}`)
    text = text.replaceAll(own, other)
  }
  const file = join(directory, 'nginx.conf')
  writeFileSync(file, text)
  const owned = spawnOwned({
    name: 'nginx',
    command: program,
    args: ['-c', file, '-e', 'stderr', '-g', `daemon off; pid ${directory}/pid;`],
    temporaryDirectory: directory,
  })
  const url = `http://127.0.0.1:${port}`
  const serves = async () => (await fetch(`${url}/openapi.json`)).ok
  await waitFor(serves, { what: 'nginx to serve notify-api', deadlineMs: 30_000 }).catch(async (error: unknown) => {
    await owned.kill()
    throw new Error(owned.logs.join('\n'), { cause: error })
  })
  const requests = () => readFileSync(accessLog, 'utf8').split('\n').slice(0, -1)
  const statuses = () => {
    const counts: Record<string, number> = {}
    for (const line of requests()) {
      const status = /" (\d{3}) /.exec(line)?.[1]
      if (status) counts[status] = (counts[status] ?? 0) + 1
    }
    return counts
  }
  return { ...owned, url, tlsUrl: tls && `https://127.0.0.1:${tlsPort}`, requests, statuses }
}

function temporaryPaths(directory: string): string {
  return ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${directory}/${kind};`).join(' ')
}

/** Enables what the shipped configuration has in comments. Before 1.25.1, HTTP/2 is a parameter of `listen`. */
function tlsReplacements(program: string, address: string, { certificate, key }: { certificate: string; key: string }) {
  const version = /nginx\/(\d+)\.(\d+)\.(\d+)/.exec(spawnSync(program, ['-v'], { encoding: 'utf8' }).stderr) ?? []
  const [major = 0, minor = 0, patch = 0] = version.slice(1).map(Number)
  const hasHttp2Directive = (major * 1_000 + minor) * 1_000 + patch >= 1_025_001
  return [
    ['# listen 443 ssl;', `listen ${address} ssl${hasHttp2Directive ? '' : ' http2'};`],
    ['# http2 on;  (nginx 1.25.1 and newer)', hasHttp2Directive ? 'http2 on;' : ''],
    ['# ssl_certificate     /etc/ssl/tidings.pem;', `ssl_certificate ${certificate};`],
    ['# ssl_certificate_key /etc/ssl/tidings.key;', `ssl_certificate_key ${key};`],
  ] as const
}
