import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { folder, read } from './files.ts'

interface Compose {
  readonly services: Record<string, { image?: string; profiles?: string[]; volumes?: string[]; build?: { target: string } }>
}
interface Scrape {
  readonly job_name: string
  readonly dns_sd_configs?: readonly { names: string[]; port: number }[]
  readonly relabel_configs?: readonly { source_labels: string[]; regex?: string; target_label?: string }[]
}

interface PodTemplate {
  readonly metadata: { readonly labels: Record<string, string> }
  readonly spec: { readonly containers: readonly { readonly ports: readonly { readonly name: string }[] }[] }
}

const root = join(folder, '../..')
const compose = parse(readFileSync(join(root, 'docker-compose.yml'), 'utf8'), { merge: true }) as Compose
const dockerfile = readFileSync(join(root, 'Dockerfile'), 'utf8')
const scrapesOf = (file: string) => (parse(read(file)) as { scrape_configs: Scrape[] }).scrape_configs
const services = ['notify-api', 'realtime-gateway']

function podTemplateOf(service: string): PodTemplate {
  const [deployment = ''] = readFileSync(join(root, `infra/k8s/base/${service}.yaml`), 'utf8').split('\n---\n')
  return (parse(deployment) as { spec: { template: PodTemplate } }).spec.template
}

/** The files that a service of Compose mounts, as paths in its container by paths in the repository. */
function mountsOf(service: string): [file: string, mounted: string][] {
  return (compose.services[service]?.volumes ?? []).map((volume) => {
    const [file = '', mounted = '', mode] = volume.split(':')
    expect([existsSync(join(root, file)), mode], volume).toEqual([true, 'ro'])
    return [file, mounted]
  })
}

test('docker compose starts Prometheus and Grafana only in the profile, with the files of this folder', () => {
  const [prometheus, grafana] = ['prometheus', 'grafana'].map((name) => compose.services[name])
  for (const each of [prometheus, grafana]) expect(each).toMatchObject({ profiles: ['observability'], image: expect.any(String) })
  expect(mountsOf('prometheus').map(([, mounted]) => mounted)).toEqual([
    '/etc/prometheus/prometheus.yml',
    '/etc/prometheus/alert.yml',
  ])
  const provider = parse(read('grafana/dashboard.yml')) as { providers: { options: { path: string } }[] }
  expect(mountsOf('grafana')).toContainEqual(['./infra/observability/dashboard', provider.providers[0]?.options.path])
  expect(parse(read('grafana/datasource.yml'))).toMatchObject({
    datasources: [{ type: 'prometheus', url: 'http://prometheus:9090' }],
  })
})

test('Prometheus of docker compose scrapes the ops port of every service', () => {
  const scrapes = scrapesOf('prometheus.yml')
  expect(scrapes.map(({ job_name }) => job_name)).toEqual(services)
  for (const { job_name, dns_sd_configs } of scrapes) {
    expect(compose.services[job_name]?.build?.target).toBe(job_name)
    const opsPort = new RegExp(`AS ${job_name}\\nENV PORT=\\d+ OPS_PORT=(\\d+)`).exec(dockerfile)?.[1]
    expect(dns_sd_configs).toMatchObject([{ names: [job_name], port: Number(opsPort) }])
  }
})

test.each(services)('Prometheus in a cluster scrapes the ops port of %s', (service) => {
  const [keep, job] = scrapesOf('prometheus-kubernetes.yml')[0]?.relabel_configs ?? []
  const { metadata, spec } = podTemplateOf(service)
  const { labels } = metadata
  const meta: Record<string, string> = {
    __meta_kubernetes_pod_label_app_kubernetes_io_name: labels['app.kubernetes.io/name'] ?? '',
    __meta_kubernetes_pod_label_app_kubernetes_io_part_of: labels['app.kubernetes.io/part-of'] ?? '',
  }
  const kept = spec.containers[0]?.ports.map(({ name }) =>
    keep?.source_labels.map((label) => (label.endsWith('port_name') ? name : meta[label])).join(';'),
  )
  expect(kept?.filter((labelValues) => labelValues === keep?.regex)).toHaveLength(1)
  expect([job?.target_label, meta[job?.source_labels[0] ?? '']]).toEqual(['job', service])
})
