import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findProgram } from '@tidings/local'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { alerts, dashboards, folder, queriesOf, read } from './files.ts'

/** Values of a series, one every 15 s, in the notation of promtool. */
type Series = Readonly<Record<string, string>>

const api = 'job="notify-api",instance="api:9081"'
const gateway = 'job="realtime-gateway",instance="gateway:9082"'

/** Both services at work, with a rollout of a gateway, single slow clients and one failed fetch of keys. */
const healthy: Series = {
  [`up{${api}}`]: '1x80',
  [`up{${gateway}}`]: '1x40 0 0 0 0 1x80',
  [`tidings_ready{${api}}`]: '1x80',
  [`tidings_ready{${gateway}}`]: '1x40 0 0 0 0 1x80',
  [`tidings_outbox_oldest_age_seconds{${api}}`]: '0 0 1 0 6 0x80',
  [`tidings_outbox_depth{${api}}`]: '3x80',
  [`tidings_outbox_parked{${api}}`]: '0x40 1 1 0x40',
  [`tidings_circuit_open{${api}}`]: '0x40 1 0x40',
  [`tidings_queued_writes{${api}}`]: '0x40 2000 0x40',
  [`tidings_escalations_total{${api},way="webhook",outcome="retry"}`]: '0x20 8x60',
  [`tidings_escalations_total{${api},way="webhook",outcome="sent"}`]: '0+1x80',
  [`tidings_escalations_total{${api},way="push",outcome="retry"}`]: '0x20 2x60',
  [`tidings_escalations_total{${api},way="push",outcome="sent"}`]: '0x80',
  [`tidings_escalation_oldest_due_age_seconds{${api},way="webhook"}`]: '0x40 400 0x40',
  [`tidings_escalation_rows{${api},way="webhook",state="dead"}`]: '0x80',
  [`tidings_escalation_rows{${api},way="webhook",state="waiting"}`]: '100x80',
  [`tidings_jwks_failures_total{${api},caller="member"}`]: '0x40 1x40',
  [`tidings_gateway_jwks_failures_total{${gateway}}`]: '0x40 1x40',
  [`tidings_gateway_redis_lag_seconds{${gateway},shard="redis"}`]: '0.002x40 0.8 0.002x40',
  [`tidings_gateway_closes_total{${gateway},code="4508"}`]: '0+1x80',
  [`tidings_gateway_closes_total{${gateway},code="1012"}`]: '0x40 4000x40',
  [`tidings_gateway_sessions{${gateway}}`]: '10000x80',
  [`tidings_gateway_subscriptions{${gateway}}`]: '30000x80',
  [`tidings_gateway_resumes_total{${gateway},recovered="true"}`]: '0x40 12000+20x40',
  [`tidings_gateway_refused_upgrades_total{${gateway},status="503"}`]: '0x40 40x40',
  [`tidings_gateway_gaps_total{${gateway}}`]: '0x80',
}

const faults: readonly (readonly [alert: string, series: string, values: string])[] = [
  ['TidingsDown', `up{${api}}`, '0x80'],
  ['TidingsDown', `up{${gateway}}`, '1x40 0x80'],
  ['TidingsNotifyApiUnready', `tidings_ready{${api}}`, '1x40 0x80'],
  ['TidingsGatewayUnready', `tidings_ready{${gateway}}`, '1x40 0x80'],
  ['TidingsGatewayLag', `tidings_gateway_redis_lag_seconds{${gateway},shard="redis"}`, '0.9x80'],
  ['TidingsOutboxOld', `tidings_outbox_oldest_age_seconds{${api}}`, '0+15x80'],
  ['TidingsOutboxDeep', `tidings_outbox_depth{${api}}`, '20000x80'],
  ['TidingsOutboxParked', `tidings_outbox_parked{${api}}`, '0x40 1x80'],
  ['TidingsCircuitOpen', `tidings_circuit_open{${api}}`, '0x40 1x80'],
  ['TidingsQueuedWrites', `tidings_queued_writes{${api}}`, '0x40 5000x80'],
  ['TidingsEscalationsFailing', `tidings_escalations_total{${api},way="push",outcome="retry"}`, '0+1x80'],
  ['TidingsEscalationsLate', `tidings_escalation_oldest_due_age_seconds{${api},way="webhook"}`, '0+15x80'],
  ['TidingsDeadLetters', `tidings_escalation_rows{${api},way="webhook",state="dead"}`, '0x40 1x80'],
  ['TidingsJwksFailing', `tidings_jwks_failures_total{${api},caller="service"}`, '0+1x80'],
  ['TidingsJwksFailing', `tidings_gateway_jwks_failures_total{${gateway}}`, '0+1x80'],
  ['TidingsSlowClients', `tidings_gateway_closes_total{${gateway},code="4508"}`, '0+20x80'],
  ['TidingsReconnectStorm', `tidings_gateway_resumes_total{${gateway},recovered="true"}`, '0+1000x80'],
  ['TidingsUpgradesRefused', `tidings_gateway_refused_upgrades_total{${gateway},status="503"}`, '0+60x80'],
  ['TidingsUpgradesRefused', `tidings_gateway_refused_upgrades_total{${gateway},status="429"}`, '0+60x80'],
  ['TidingsGaps', `tidings_gateway_gaps_total{${gateway}}`, '0x40 1x80'],
]

let directory: string

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'tidings-alert-'))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

function promtool(...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(findProgram('promtool') ?? 'promtool', args, { cwd: folder, encoding: 'utf8' })
  return { status, output: `${stdout}${stderr}` }
}

function check(command: readonly string[], name: string, contents: unknown): { status: number | null; output: string } {
  const path = join(directory, name)
  writeFileSync(path, stringify(contents))
  return promtool(...command, path)
}

/** A test of promtool: these alerts, and no others, have fired by the end of the 20 minutes. */
function unitTest(series: Series, fired: readonly string[]) {
  return {
    interval: '15s',
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    promql_expr_test: [
      {
        expr: 'count by (alertname) (count_over_time(ALERTS{alertstate="firing"}[20m]))',
        eval_time: '20m',
        exp_samples: fired.map((alert) => ({ labels: `{alertname="${alert}"}`, value: 1 })),
      },
    ],
  }
}

test('each alert fires on its fault, and none on another or on healthy services', () => {
  expect(new Set(faults.map(([alert]) => alert))).toEqual(new Set(alerts.map(({ alert }) => alert)))
  const tests = [
    unitTest(healthy, []),
    ...faults.map(([alert, series, values]) => unitTest({ ...healthy, [series]: values }, [alert])),
  ]
  const rule_files = [join(folder, 'alert.yml')]
  const { status, output } = check(['test', 'rules'], 'test.yml', { rule_files, evaluation_interval: '15s', tests })
  expect(output).toContain('SUCCESS')
  expect(status).toBe(0)
})

test('promtool accepts the alerts and the scrape configurations', () => {
  expect(promtool('check', 'rules', 'alert.yml')).toMatchObject({ status: 0 })
  expect(promtool('check', 'config', 'prometheus.yml')).toMatchObject({ status: 0 })
  // Debian builds promtool without the discovery of Kubernetes.
  const kubernetes = read('prometheus-kubernetes.yml').replace(/kubernetes_sd_configs: .*/, 'static_configs: []')
  const { rule_files: _, ...config } = parse(kubernetes) as Record<string, unknown>
  expect(check(['check', 'config'], 'kubernetes.yml', config)).toMatchObject({ status: 0 })
})

test('promtool accepts the queries of the dashboards', () => {
  const rules = dashboards.flatMap(({ dashboard }) =>
    queriesOf(dashboard).map((expr, at) => ({ record: `${dashboard.uid.replaceAll('-', '_')}:query:${at}`, expr })),
  )
  expect(check(['check', 'rules'], 'query.yml', { groups: [{ name: 'queries', rules }] })).toMatchObject({ status: 0 })
})

test('the runbook has a text for each alert, and for no other', () => {
  const sections = read('runbook.md').split(/^## /m).slice(1)
  expect(sections.map((section) => section.split('\n')[0])).toEqual(expect.arrayContaining(alerts.map(({ alert }) => alert)))
  expect(sections).toHaveLength(alerts.length)
  for (const section of sections) expect(section.length).toBeGreaterThan(200)
  for (const { alert, annotations } of alerts) {
    expect(annotations.runbook).toBe(`infra/observability/runbook.md#${alert.toLowerCase()}`)
  }
})
