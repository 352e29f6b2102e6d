import { Counter, Gauge, Histogram, Registry } from '@prometheus-io/client'
import type { Sweep } from './outbox/outbox.ts'
import type { Retired } from './retention/store.ts'

const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** Everything `/metrics` tells about this service. */
export class Metrics {
  readonly registry = new Registry()
  readonly #registers = [this.registry]
  readonly #requestChildren = new Map<string, { observe(value: number): void }>()

  readonly requests = new Histogram({
    name: 'tidings_http_request_seconds',
    help: 'Time from the request to the end of the answer, by call and status.',
    labelNames: ['call', 'status'],
    buckets: seconds,
    registers: this.#registers,
  })
  readonly groupCommands = new Histogram({
    name: 'tidings_group_commit_commands',
    help: 'Requests that shared one transaction.',
    buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024],
    registers: this.#registers,
  })
  readonly groupSeconds = new Histogram({
    name: 'tidings_group_commit_seconds',
    help: 'Time of one transaction.',
    buckets: seconds,
    registers: this.#registers,
  })
  readonly queuedWrites = new Gauge({
    name: 'tidings_queued_writes',
    help: 'Requests waiting for their transaction to begin.',
    registers: this.#registers,
  })
  readonly swept = new Counter({
    name: 'tidings_swept_total',
    help: 'Publications made by the sweep, because a crash or an outage of Redis had left them.',
    registers: this.#registers,
  })
  readonly publishSeconds = new Histogram({
    name: 'tidings_redis_publish_seconds',
    help: 'Time until Redis answered for a publication.',
    buckets: seconds,
    registers: this.#registers,
  })
  readonly redisLag = new Gauge({
    name: 'tidings_redis_lag_seconds',
    help: 'Round trip of the last PING.',
    registers: this.#registers,
  })
  readonly circuitOpen = new Gauge({
    name: 'tidings_circuit_open',
    help: '1 while publications are left to the sweep because Redis does not answer.',
    registers: this.#registers,
  })
  readonly outboxDepth = new Gauge({
    name: 'tidings_outbox_depth',
    help: 'Rows in the outbox at the last sweep, counted up to 100000.',
    registers: this.#registers,
  })
  readonly outboxOldest = new Gauge({
    name: 'tidings_outbox_oldest_age_seconds',
    help: 'Age of the oldest row in the outbox at the last sweep.',
    registers: this.#registers,
  })
  readonly retired = new Counter({
    name: 'tidings_retired_rows_total',
    help: 'Rows deleted because they were older than their retention, by table.',
    labelNames: ['table'],
    registers: this.#registers,
  })

  readonly tasksEnded = new Counter({
    name: 'tidings_tasks_ended_total',
    help: 'Tasks that this instance has ended, by how.',
    labelNames: ['status'],
    registers: this.#registers,
  })

  readonly onTaskEnd = (status: string): void => this.tasksEnded.inc({ status })

  readonly onRequest = (call: string, status: number, took: number): void => {
    // Finding the child of two labels costs more than observing: each is found once. Calls and statuses are few.
    const key = `${status}${call}`
    let child = this.#requestChildren.get(key)
    if (!child) this.#requestChildren.set(key, (child = this.requests.labels({ call, status })))
    child.observe(took)
  }

  readonly onCommit = (commands: number, took: number): void => {
    this.groupCommands.observe(commands)
    this.groupSeconds.observe(took)
  }

  readonly onPublish = (took: number): void => this.publishSeconds.observe(took)

  readonly onRetention = (retired: Retired): void => {
    for (const [table, rows] of Object.entries(retired)) this.retired.inc({ table }, rows)
  }

  readonly onSweep = ({ backlog, published, open }: Sweep): void => {
    this.outboxDepth.set(backlog.depth)
    this.outboxOldest.set(backlog.oldestAgeMs / 1_000)
    this.swept.inc(published)
    this.circuitOpen.set(open ? 1 : 0)
  }
}
