import { Counter, Gauge, Histogram, Registry } from '@prometheus-io/client'
import { Close } from '@tidings/protocol'

/** Codes of the gateway, and of a client that leaves or fails. A client may send any number, which must not become a time series. */
const closeCodes: ReadonlySet<number> = new Set([...Object.values(Close), 1001, 1005, 1006, 1007, 1009])

/** Statuses of refused upgrades. */
const refusalStatuses = [401, 403, 426, 429, 503]

/** Metrics of the gateway, each named `tidings_gateway_…`. One instance a process. */
export class Metrics {
  readonly registry = new Registry()
  readonly #publications = this.#counter('publications_total', 'Publications received from Redis for local subscriptions')
  readonly #deliveries = this.#counter('deliveries_total', 'MESSAGE frames handed to sessions')
  readonly #bytes = this.#counter('sent_bytes_total', 'Bytes written to sockets')
  readonly #closes = this.#counter('closes_total', 'Sessions ended, by close code', ['code'])
  readonly #refusals = this.#counter('refused_upgrades_total', 'Upgrades refused, by HTTP status', ['status'])
  readonly #resumes = this.#counter('resumes_total', 'Resumed subscriptions, by whether the history reached back', ['recovered'])
  readonly #repairs = this.#counter('gap_repairs_total', 'Times that missed publications of a channel were read from its history')
  readonly #gaps = this.#counter('gaps_total', 'Gaps that the history could not fill')
  readonly #jwksFailures = this.#counter('jwks_failures_total', 'Fetches of the JWKS that failed')
  readonly #latency = new Histogram({
    name: 'tidings_gateway_publish_to_socket_seconds',
    help: 'From encoding the first message of a tick to its last write to a socket',
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
    registers: [this.registry],
  })
  readonly #lag = new Gauge({
    name: 'tidings_gateway_redis_lag_seconds',
    help: 'From publishing the canary of a shard to receiving it',
    labelNames: ['shard'],
    registers: [this.registry],
  })

  constructor() {
    // A series that begins with its first event has no increase that an alert could see.
    for (const code of closeCodes) this.#closes.inc({ code }, 0)
    for (const status of refusalStatuses) this.#refusals.inc({ status }, 0)
    for (const recovered of ['true', 'false']) this.#resumes.inc({ recovered }, 0)
  }

  /** True when publications were delivered in this tick. */
  #delivering = false

  delivered(deliveries: number): void {
    this.#delivering = true
    this.#publications.inc()
    this.#deliveries.inc(deliveries)
  }

  /** All writes of one tick. `seconds`: from its first message to its last write, observed when a publication was among them. */
  flushed(bytes: number, seconds: number): void {
    this.#bytes.inc(bytes)
    if (this.#delivering) this.#latency.observe(seconds)
    this.#delivering = false
  }

  closed(code: number): void {
    this.#closes.inc({ code: closeCodes.has(code) ? code : 'other' })
  }

  refused(status: number): void {
    this.#refusals.inc({ status })
  }

  resumed(recovered: boolean): void {
    this.#resumes.inc({ recovered: String(recovered) })
  }

  repaired(): void {
    this.#repairs.inc()
  }

  gap(): void {
    this.#gaps.inc()
  }

  jwksFailed(): void {
    this.#jwksFailures.inc()
  }

  lag(shard: string, seconds: number): void {
    this.#lag.set({ shard }, seconds)
  }

  /** Removes what was measured of a shard that no longer exists. */
  forgetShard(shard: string): void {
    this.#lag.remove({ shard })
  }

  /** Adds a gauge whose value is read at each scrape. */
  observe(name: string, help: string, read: () => number): void {
    const gauge: Gauge = new Gauge({
      name: `tidings_gateway_${name}`,
      help,
      registers: [],
      collect: (): void => gauge.set(read()),
    })
    this.registry.registerMetric(gauge)
  }

  #counter(name: string, help: string, labelNames: string[] = []): Counter<string> {
    return new Counter<string>({ name: `tidings_gateway_${name}`, help, labelNames, registers: [this.registry] })
  }
}
