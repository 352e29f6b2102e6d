import { Counter, Gauge, Histogram, Registry } from '@prometheus-io/client'
import type { OutboxReport } from './outbox/sweep.ts'
import type { EscalationBacklog } from './reach/store.ts'
import { type Way, ways } from './reach/way.ts'
import type { EscalationOutcome } from './reach/worker.ts'
import type { Retired } from './retention/store.ts'

const secondsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** The metrics of this service, served at `/metrics`. */
export class Metrics {
  readonly registry = new Registry()
  readonly #registers = [this.registry]
  readonly #requestChildren = new Map<string, { observe(value: number): void }>()
  #queued = () => 0

  readonly requests = new Histogram({
    name: 'tidings_http_request_seconds',
    help: 'Time from the request to the end of the response, by call and status.',
    labelNames: ['call', 'status'],
    buckets: secondsBuckets,
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
    buckets: secondsBuckets,
    registers: this.#registers,
  })
  readonly queuedWrites: Gauge = new Gauge({
    name: 'tidings_queued_writes',
    help: 'Requests waiting for their transaction to begin.',
    registers: this.#registers,
    collect: () => this.queuedWrites.set(this.#queued()),
  })
  readonly swept = new Counter({
    name: 'tidings_swept_total',
    help: 'Publications made by the sweep after a crash or an outage of Redis.',
    registers: this.#registers,
  })
  readonly publishSeconds = new Histogram({
    name: 'tidings_redis_publish_seconds',
    help: 'Time until Redis replied to publications sent together.',
    buckets: secondsBuckets,
    registers: this.#registers,
  })
  readonly redisLag = new Gauge({
    name: 'tidings_redis_lag_seconds',
    help: 'Round trip of the last PING.',
    registers: this.#registers,
  })
  readonly circuitOpen = new Gauge({
    name: 'tidings_circuit_open',
    help: '1 while publications are deferred to the sweep because Redis, or a shard of it, is away.',
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
  readonly outboxParked = new Gauge({
    name: 'tidings_outbox_parked',
    help: 'Rows in the outbox whose channel Redis refuses, at the last sweep.',
    registers: this.#registers,
  })
  readonly retired = new Counter({
    name: 'tidings_retired_rows_total',
    help: 'Rows deleted because they were older than their retention, by table.',
    labelNames: ['table'],
    registers: this.#registers,
  })
  readonly escalations = new Counter({
    name: 'tidings_escalations_total',
    help: 'Notifications for members without an open tab, by way and by the outcome of a delivery by this instance.',
    labelNames: ['way', 'outcome'],
    registers: this.#registers,
  })
  readonly escalationRows = new Gauge({
    name: 'tidings_escalation_rows',
    help: 'Escalations by way and state, each counted up to 100000: waiting, due among these, and dead.',
    labelNames: ['way', 'state'],
    registers: this.#registers,
  })
  readonly escalationOldest = new Gauge({
    name: 'tidings_escalation_oldest_due_age_seconds',
    help: 'Time for which the oldest escalation has been due, by way.',
    labelNames: ['way'],
    registers: this.#registers,
  })
  readonly tasksEnded = new Counter({
    name: 'tidings_tasks_ended_total',
    help: 'Tasks ended by this instance, by status.',
    labelNames: ['status'],
    registers: this.#registers,
  })

  readonly jwksFailures = new Counter({
    name: 'tidings_jwks_failures_total',
    help: 'Fetches of a JWKS that failed, by kind of caller whose tokens it verifies.',
    labelNames: ['caller'],
    registers: this.#registers,
  })

  constructor() {
    // A series that begins with its first event has no increase that an alert could see.
    for (const caller of ['service', 'member']) this.jwksFailures.inc({ caller }, 0)
    for (const way of ways) for (const outcome of ['sent', 'retry']) this.escalations.inc({ way, outcome }, 0)
  }

  /** Sets the function that returns the number of queued writes; it is called at each scrape. */
  countQueuedWrites(queued: () => number): void {
    this.#queued = queued
  }

  readonly onJwksFailure = (caller: 'service' | 'member'): void => this.jwksFailures.inc({ caller })

  readonly onTaskEnd = (status: string): void => this.tasksEnded.inc({ status })

  readonly onRequest = (call: string, status: number, seconds: number): void => {
    // Looking up the child of two labels costs more than observing, so the few children are cached.
    const key = `${status}${call}`
    let child = this.#requestChildren.get(key)
    if (!child) this.#requestChildren.set(key, (child = this.requests.labels({ call, status })))
    child.observe(seconds)
  }

  readonly onCommit = (commands: number, seconds: number): void => {
    this.groupCommands.observe(commands)
    this.groupSeconds.observe(seconds)
  }

  readonly onPublish = (seconds: number): void => this.publishSeconds.observe(seconds)

  readonly onEscalation = (way: Way, outcome: EscalationOutcome): void => this.escalations.inc({ way, outcome })

  readonly onEscalationBacklog = (way: Way, { waiting, due, dead, oldestDueAgeMs }: EscalationBacklog): void => {
    for (const [state, rows] of Object.entries({ waiting, due, dead })) this.escalationRows.set({ way, state }, rows)
    this.escalationOldest.set({ way }, oldestDueAgeMs / 1_000)
  }

  readonly onRetention = (retired: Retired): void => {
    for (const [table, rows] of Object.entries(retired)) this.retired.inc({ table }, rows)
  }

  readonly onOutboxReport = ({ backlog, published, circuitOpen }: OutboxReport): void => {
    this.outboxDepth.set(backlog.depth)
    this.outboxOldest.set(backlog.oldestAgeMs / 1_000)
    this.outboxParked.set(backlog.parked)
    this.swept.inc(published)
    this.circuitOpen.set(circuitOpen ? 1 : 0)
  }
}
