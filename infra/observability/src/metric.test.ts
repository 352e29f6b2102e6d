import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  connectStomp,
  createDatabase,
  memberToken,
  openRawSession,
  type RedisServer,
  type ServiceProcess,
  serviceToken,
  startRedis,
  startService,
  waitFor,
} from '@tidings/local'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { alerts, dashboards, folder, queriesOf } from './files.ts'

/** Labels that Prometheus adds to what it scrapes. */
const targetLabels = ['job', 'instance']

let redis: RedisServer
let services: ServiceProcess[] = []
/** The labels of each metric that the services serve. */
const served = new Map<string, Set<string>>()
/** What both services serve before they are used. */
let fresh = ''

beforeAll(async () => {
  redis = await startRedis()
  const REDIS_URL = redis.url
  const MYSQL_URL = await createDatabase(inject('databaseServerUrl'), 'observability')
  // The issuer of the members of notify-api is away.
  const away = { MEMBER_JWT_SECRET: '', MEMBER_JWKS_URL: 'http://127.0.0.1:1/jwks' }
  const webhook = { WEBHOOK_URL: 'http://127.0.0.1:1', WEBHOOK_SECRET: `whsec_${Buffer.alloc(32).toString('base64')}` }
  const api = await startService('notify-api', { REDIS_URL, MYSQL_URL, RETENTION_INTERVAL_SECONDS: '1', ...away, ...webhook })
  const gateway = await startService('realtime-gateway', { REDIS_URL, NOTIFY_API_URL: api.url })
  services = [api, gateway]
  for (const { opsPort } of services) {
    const ready = async () => (await fetch(`http://127.0.0.1:${opsPort}/ready`)).ok
    await waitFor(ready, { what: 'both services to be ready', deadlineMs: 20_000 })
  }
  for (const { opsPort } of services) fresh += await (await fetch(`http://127.0.0.1:${opsPort}/metrics`)).text()
  await useApi(api.url)
  await useGateway(gateway.url)
  const labels = ['shard', 'code', 'status', 'recovered', 'call', 'caller', 'table', 'way', 'state']
  await waitFor(
    async () => {
      for (const { opsPort } of services) collect(await (await fetch(`http://127.0.0.1:${opsPort}/metrics`)).text())
      const seen = [...served.values()]
      return labels.every((label) => seen.some((each) => each.has(label)))
    },
    { what: `metrics with ${labels.join(', ')}`, deadlineMs: 20_000 },
  )
}, 60_000)
afterAll(async () => {
  await Promise.all(services.map((service) => service.kill()))
  await redis.kill()
})

/** A task that ends, and a token of a member whose key cannot be fetched. */
async function useApi(url: string): Promise<void> {
  const headers = { authorization: `Bearer ${serviceToken()}`, 'content-type': 'application/json' }
  const post = (path: string, body: object) => fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
  const { taskId } = (await (await post('/task', { memberId: 1, kind: 'chat', title: 'hello' })).json()) as { taskId: string }
  expect((await post(`/task/${taskId}/finish`, { status: 'succeeded' })).status).toBe(200)
  expect((await fetch(`${url}/notification`, { headers: { cookie: `access_token=${memberToken(1)}` } })).status).toBe(401)
}

/** A session that resumes and ends, and an upgrade that is refused. */
async function useGateway(url: string): Promise<void> {
  const { session } = await connectStomp(url)
  session.sends('SUBSCRIBE\nid:0\ndestination:/member/queue/notification\nreceipt:0\nlast-message-id:1-1\n\n\0')
  expect((await session.nextFrame()).command).toBe('RECEIPT')
  session.sends('DISCONNECT\nreceipt:1\n\n\0')
  await session.closed()
  expect(await openRawSession(url, { token: 'bad' })).toMatchObject({ status: 401 })
}

/** Adds what a service serves (Prometheus text format). A metric without values has a TYPE. */
function collect(text: string): void {
  for (const [, name = '', type] of text.matchAll(/^# TYPE (\w+) (\w+)$/gm)) {
    const names = type === 'histogram' ? ['_bucket', '_sum', '_count'].map((suffix) => name + suffix) : [name]
    for (const each of names) if (!served.has(each)) served.set(each, new Set())
  }
  for (const [, name = '', labels = ''] of text.matchAll(/^(\w+)\{(.*)\} /gm)) {
    for (const [, label = ''] of labels.matchAll(/(\w+)="/g)) served.get(name)?.add(label)
  }
}

/** Returns the metrics of a PromQL expression, each with the labels that the expression uses of it. */
function usesOf(expr: string): { metric: string; labels: string[] }[] {
  const grouped = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(', '))
  return [...expr.matchAll(/\b((?:tidings|process|nodejs)_\w+)(?:\{([^}]*)\})?/g)].map(([, metric = '', selector = '']) => ({
    metric,
    labels: [...[...selector.matchAll(/(\w+)(?:=~?|!=|!~)"/g)].map(([, label = '']) => label), ...grouped],
  }))
}

function expectServed(expr: string, labels: readonly string[] = []): void {
  const uses = usesOf(expr)
  if (!expr.startsWith('up{')) expect(uses, expr).not.toHaveLength(0)
  for (const { metric, labels: used } of uses) {
    expect.soft([...served.keys()], expr).toContain(metric)
    const known = [...(served.get(metric) ?? []), ...targetLabels]
    expect.soft(known, `${metric} in ${expr}`).toEqual(expect.arrayContaining([...used, ...labels]))
  }
}

test('the services serve every metric and label of the alerts', () => {
  for (const { expr, annotations } of alerts) {
    const named = [...annotations.summary.matchAll(/\$labels\.(\w+)/g)].map(([, label = '']) => label)
    expectServed(expr, named)
  }
})

test('each counter of an alert begins with 0: an increase from nothing would not be seen', () => {
  const all = alerts.map(({ expr }) => expr).join('\n')
  const uses = [...all.matchAll(/(?:increase|rate)\((\w+)(?:\{(\w+)=~?"([^"]+)"\})?\[/g)]
  expect(uses.length).toBeGreaterThan(5)
  for (const [, metric = '', label, values = ''] of uses) {
    for (const value of values.split('|')) {
      const series = label === undefined ? `${metric}(\\{.*\\})?` : `${metric}\\{(.*,)?${label}="${value}"(,.*)?\\}`
      expect.soft(fresh).toMatch(new RegExp(`^${series} \\d+$`, 'm'))
    }
  }
})

test.each(dashboards)('the services serve every metric and label of the dashboard of $service', ({ dashboard }) => {
  for (const expr of queriesOf(dashboard)) expectServed(expr)
  for (const { targets } of dashboard.panels) {
    for (const { expr, legendFormat } of targets) {
      const named = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label)
      const aggregated = /\bby \(([^)]*)\)/.exec(expr)?.[1]?.split(', ')
      expect.soft(aggregated ?? targetLabels, expr).toEqual(expect.arrayContaining(named))
    }
  }
})

test('the dashboards are valid for Grafana 11 and newer', () => {
  for (const { service, dashboard } of dashboards) {
    const { uid, schemaVersion, templating, panels } = dashboard
    expect([uid, schemaVersion]).toEqual([`tidings-${service}`, 39])
    expect(templating.list.map(({ name, type }) => [name, type])).toEqual([
      ['datasource', 'datasource'],
      ['instance', 'query'],
    ])
    expect(templating.list[1]?.query).toMatchObject({ query: `label_values(up{job="${service}"}, instance)` })
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
    expect(new Set(panels.map(({ gridPos: { x, y } }) => `${x} ${y}`)).size).toBe(panels.length)
    for (const { title, description, datasource, gridPos, targets } of panels) {
      expect([title, description, targets[0]?.expr].every(Boolean), title).toBe(true)
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24)
      for (const each of [{ datasource }, ...targets]) expect(each.datasource.uid).toMatch(/^\$\{datasource\}$/)
    }
  }
})

test('the autoscaler of the gateways in infra/k8s uses a metric that they serve', () => {
  const manifests = parseAllDocuments(readFileSync(join(folder, '../k8s/base/realtime-gateway.yaml'), 'utf8'))
  const metric = /"metric":\{"name":"(\w+)"\}/.exec(JSON.stringify(manifests))?.[1]
  expect([...served.keys()]).toContain(metric)
})
