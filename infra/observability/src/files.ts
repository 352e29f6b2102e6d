import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

export const folder = join(import.meta.dirname, '..')

export interface Alert {
  readonly alert: string
  readonly expr: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly runbook: string }
}

/** A dashboard of Grafana, with the fields that the tests read. */
export interface Dashboard {
  readonly uid: string
  readonly title: string
  readonly schemaVersion: number
  readonly templating: { readonly list: readonly { name: string; type: string; query: string | { query: string } }[] }
  readonly panels: readonly {
    readonly id: number
    readonly title: string
    readonly description: string
    readonly datasource: { readonly uid: string }
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
    readonly targets: readonly {
      readonly expr: string
      readonly legendFormat: string
      readonly datasource: { readonly uid: string }
    }[]
  }[]
}

export function read(path: string): string {
  return readFileSync(join(folder, path), 'utf8')
}

export const alerts = (parse(read('alert.yml')) as { groups: { rules: Alert[] }[] }).groups.flatMap(({ rules }) => rules)

export const dashboards = ['notify-api', 'realtime-gateway'].map((service) => ({
  service,
  dashboard: JSON.parse(read(`dashboard/${service}.json`)) as Dashboard,
}))

/** Returns the queries of a dashboard, as Prometheus gets them from Grafana. */
export function queriesOf({ panels }: Dashboard): string[] {
  return panels.flatMap(({ targets }) =>
    targets.map(({ expr }) => expr.replaceAll('$__rate_interval', '1m').replaceAll('$instance', '.*')),
  )
}
