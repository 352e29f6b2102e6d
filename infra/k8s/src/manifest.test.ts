import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { findProgram } from '@tidings/local'
import { configFrom as apiConfigFrom, migrationConfigFrom, Variables as ApiVariables } from '@tidings/notify-api/config'
import { configFrom as gatewayConfigFrom, Variables as GatewayVariables } from '@tidings/realtime-gateway/config'
import type { IDeployment } from 'kubernetes-models/apps/v1'
import type { IHorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2'
import type { IJob } from 'kubernetes-models/batch/v1'
import type { IIngress, INetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1'
import type { IPodDisruptionBudget } from 'kubernetes-models/policy/v1'
import type { IConfigMap, IService } from 'kubernetes-models/v1'
import { expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { type Manifest, render } from './render.ts'
import { refusalsOf } from './schema.ts'

const folder = join(import.meta.dirname, '..')
const example = join(folder, 'example')
const manifests = render(example)
const dockerfile = readFileSync(join(folder, '../../Dockerfile'), 'utf8')
const readme = readFileSync(join(folder, 'README.md'), 'utf8')

/** How long a pod may take to close after its delay and drain: `closeMs` in `main.ts` of each service. */
const closeSeconds = { 'notify-api': 30, 'realtime-gateway': 10 }
const services = ['notify-api', 'realtime-gateway'] as const
const variables = { 'notify-api': Object.keys(ApiVariables.shape), 'realtime-gateway': Object.keys(GatewayVariables.shape) }
/** The keys of the Secret that README.md asks for. */
const secret: Record<string, string> = {
  'mysql-url': 'mysql://tidings:secret@mysql:3306/tidings',
  'redis-url': 'redis://redis:6379',
  'mysql-migration-url': 'mysql://tidings_migration:secret@mysql:3306/tidings',
}

interface Kinds {
  ConfigMap: IConfigMap
  Deployment: IDeployment
  HorizontalPodAutoscaler: IHorizontalPodAutoscaler
  Ingress: IIngress
  Job: IJob
  NetworkPolicy: INetworkPolicy
  PodDisruptionBudget: IPodDisruptionBudget
  Service: IService
}

function find<Kind extends keyof Kinds>(kind: Kind, name: string): Kinds[Kind] {
  const found = manifests.find((manifest) => manifest.kind === kind && manifest.metadata.name === name)
  if (!found) throw new Error(`no ${kind} ${name}`)
  return found as Kinds[Kind]
}

function sorted(list: readonly Manifest[]): Manifest[] {
  return list.toSorted((a, b) => `${a.kind} ${a.metadata.name}`.localeCompare(`${b.kind} ${b.metadata.name}`))
}

function podOf(service: string) {
  const { spec } = find('Deployment', service)
  const pod = spec?.template.spec
  const container = pod?.containers[0]
  if (!pod || !container) throw new Error(`no container of ${service}`)
  return { pod, container, labels: spec?.template.metadata?.labels ?? {} }
}

/** The environment of a container in the example overlay. */
function environmentOf(service: string): Record<string, string> {
  const { env = [], envFrom = [] } = podOf(service).container
  const shared = envFrom.map(({ configMapRef }) => find('ConfigMap', configMapRef?.name ?? '').data ?? {})
  const own = env.map(({ name, valueFrom }) => [name, secret[valueFrom?.secretKeyRef?.key ?? '']])
  return { ...Object.assign({}, ...shared), ...Object.fromEntries(own) } as Record<string, string>
}

function portOf(service: string, name: string): number | undefined {
  return podOf(service).container.ports?.find((port) => port.name === name)?.containerPort
}

test('the schemas of Kubernetes accept every manifest', async () => {
  expect(manifests.length).toBeGreaterThan(10)
  expect(await refusalsOf(manifests)).toEqual([])
})

test('a wrong value and a field that does not exist are found', async () => {
  const text = JSON.stringify(find('Deployment', 'notify-api'))
  const wrong = [
    text.replace('"containerPort":8081', '"containerPort":"8081"'),
    text.replace('"periodSeconds"', '"periodSecond"'),
  ]
  const [value, type, field, ...further] = await refusalsOf(wrong.map((each) => JSON.parse(each) as Manifest))
  expect(value).toMatch(/containerPort must be integer/)
  expect(type).toMatch(/Type 'string' is not assignable to type 'number'/)
  expect(field).toMatch(/'"periodSecond"' does not exist/)
  expect(further).toEqual([])
})

test.skipIf(!findProgram('kubectl'))('kubectl renders the same', () => {
  const { stdout, stderr } = spawnSync('kubectl', ['kustomize', example], { encoding: 'utf8' })
  const names = [...stdout.matchAll(/^ {2}name: ([a-z-]+)-[a-z0-9]{10}$/gm)].map(([, name]) => name ?? '')
  expect(names.length, stderr).toBe(3)
  const plain = names.reduce((text, name) => text.replaceAll(new RegExp(`\\b${name}-[a-z0-9]{10}\\b`, 'g'), name), stdout)
  const rendered = parseAllDocuments(plain).map((document) => document.toJS() as Manifest)
  expect(sorted(manifests)).toEqual(sorted(rendered))
})

test.each(services)('%s reads every variable that its pod has, and starts with them', (service) => {
  const environment = environmentOf(service)
  expect(variables[service]).toEqual(expect.arrayContaining(Object.keys(environment)))
  const config = service === 'notify-api' ? apiConfigFrom(environment) : gatewayConfigFrom(environment)
  expect([portOf(service, 'http'), portOf(service, 'ops')]).toEqual([config.port, config.opsPort])
  expect(environment['NODE_ENV']).toBe('production')
})

test('a Job migrates the database as another user, with the image and the restrictions of notify-api, whose pods wait for it', () => {
  const { pod, container } = podOf('notify-api')
  const job = find('Job', 'notify-api-migration').spec?.template.spec
  const [migration] = job?.containers ?? []
  expect(environmentOf('notify-api')['MIGRATE']).toBe('off')
  expect(migration?.image).toBe(container.image)
  expect([job?.securityContext, migration?.securityContext]).toEqual([pod.securityContext, container.securityContext])
  const command = /^CMD (.*)$/m.exec(dockerfile)?.[1]?.replace('main.js', 'migrate.js')
  expect(migration?.command).toEqual(JSON.parse(command ?? ''))
  const [{ name, valueFrom } = { name: '' }, ...others] = migration?.env ?? []
  expect(() => migrationConfigFrom({ [name]: secret[valueFrom?.secretKeyRef?.key ?? ''] })).not.toThrow()
  expect([valueFrom?.secretKeyRef?.key, others]).toEqual(['mysql-migration-url', []])
})

test.each(services)('%s has as long to end as it takes', (service) => {
  const { pod, container } = podOf(service)
  const preStopSeconds = Number(container.lifecycle?.preStop?.exec?.command?.[1] ?? 0)
  const shutdownDelaySeconds = service === 'notify-api' ? apiConfigFrom(environmentOf(service)).shutdownDelayMs / 1_000 : 0
  const drainSeconds = service === 'realtime-gateway' ? gatewayConfigFrom(environmentOf(service)).drainMs / 1_000 : 0
  const servesOnSeconds = preStopSeconds + shutdownDelaySeconds
  expect(servesOnSeconds).toBeGreaterThanOrEqual(5)
  expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(servesOnSeconds + drainSeconds + closeSeconds[service])
  // One gateway drains at a time.
  expect(find('Deployment', service).spec?.minReadySeconds ?? 0).toBeGreaterThanOrEqual(drainSeconds)
})

test.each(services)('%s runs without privileges, on a file system that it cannot write', (service) => {
  const { pod, container } = podOf(service)
  expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } })
  expect(container.securityContext).toEqual({
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  })
  // `node` in the image of Node is 1000.
  expect([pod.securityContext?.runAsUser, dockerfile]).toEqual([1000, expect.stringContaining('USER node\n')])
})

test.each(services)('probes, Service, budget, autoscaler and policy of %s lead to its pods', (service) => {
  const { pod, container, labels } = podOf(service)
  const selector = { 'app.kubernetes.io/name': service }
  const { readinessProbe, livenessProbe } = container
  expect(readinessProbe?.httpGet).toEqual({ path: '/ready', port: 'ops' })
  expect(livenessProbe?.httpGet).toEqual({ path: '/live', port: 'ops' })
  expect(labels).toMatchObject(selector)
  const budget = find('PodDisruptionBudget', service)
  const policy = find('NetworkPolicy', service)
  const deployment = find('Deployment', service)
  const spread = pod.topologySpreadConstraints?.map(({ labelSelector }) => labelSelector) ?? []
  expect(spread).toHaveLength(2)
  for (const each of [...spread, deployment.spec?.selector, budget.spec?.selector, policy.spec?.podSelector]) {
    expect(each).toEqual({ matchLabels: selector })
  }
  const { spec } = find('Service', service)
  expect([spec?.selector, spec?.ports]).toEqual([selector, [{ name: 'http', port: portOf(service, 'http'), targetPort: 'http' }]])
  const target = find('HorizontalPodAutoscaler', service).spec?.scaleTargetRef
  expect(target).toEqual({ apiVersion: 'apps/v1', kind: 'Deployment', name: service })
  const [open, inside] = policy.spec?.ingress ?? []
  expect([open?.ports, open?.from, inside?.ports]).toEqual([[{ port: 'http' }], undefined, [{ port: 'ops' }]])
  expect(inside?.from).toHaveLength(1)
})

test('the gateways are scaled by their sessions, before they refuse any', () => {
  const { spec } = find('HorizontalPodAutoscaler', 'realtime-gateway')
  const { limits } = gatewayConfigFrom(environmentOf('realtime-gateway'))
  expect(Number(spec?.metrics?.[0]?.pods?.target.averageValue)).toBeLessThan(limits.maxSessions)
})

test('the Ingress leads to the Services, and leaves the ends of silent sessions to the gateways', () => {
  for (const service of services) {
    const { spec } = find('Ingress', service)
    for (const { backend } of spec?.rules?.[0]?.http?.paths ?? []) {
      expect(backend.service).toEqual({ name: service, port: { name: 'http' } })
    }
  }
  const { annotations } = find('Ingress', 'realtime-gateway').metadata ?? {}
  for (const each of ['read', 'send']) expect(annotations?.[`nginx.org/proxy-${each}-timeout`]).toBe('1h')
})

test('README.md names the keys of the Secret, and gives the adapter the metric of the autoscaler', () => {
  const keys = [...readme.matchAll(/--from-literal=([a-z-]+)=/g)].map(([, key]) => key ?? '')
  expect(keys).toEqual(Object.keys(secret))
  const rule = parse(/```yaml\n(.*?)```/s.exec(readme)?.[1] ?? '') as { rules: { seriesQuery: string }[] }
  const { spec } = find('HorizontalPodAutoscaler', 'realtime-gateway')
  expect(rule.rules[0]?.seriesQuery).toContain(spec?.metrics?.[0]?.pods?.metric.name)
})
