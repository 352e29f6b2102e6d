// Preload that traces notify-api and realtime-gateway with OpenTelemetry: README.md says how. Configured by the OTEL_* environment variables.
import { subscribe } from 'node:diagnostics_channel'
import { register } from 'node:module'
import { propagation, ROOT_CONTEXT, SpanKind, trace } from '@opentelemetry/api'
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http'
import { IORedisInstrumentation } from '@opentelemetry/instrumentation-ioredis'
import { MySQL2Instrumentation } from '@opentelemetry/instrumentation-mysql2'
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici'
import { NodeSDK } from '@opentelemetry/sdk-node'

// The services are ES modules.
register('@opentelemetry/instrumentation/hook.mjs', import.meta.url)
// Both services serve metrics for Prometheus, and log to stdout.
process.env.OTEL_METRICS_EXPORTER ??= 'none'
process.env.OTEL_LOGS_EXPORTER ??= 'none'

new NodeSDK({
  instrumentations: [
    // Without the probes of the ops port.
    new HttpInstrumentation({ ignoreIncomingRequestHook: ({ url }) => /^\/(live|ready|metrics)$/.test(url ?? '') }),
    new UndiciInstrumentation(),
    new MySQL2Instrumentation(),
    new IORedisInstrumentation(),
  ],
}).start()

// The gateway publishes a message here for each traced publication that it has handed to sessions.
subscribe('tidings:delivery', ({ traceparent, channel, position, deliveries }) => {
  const request = propagation.extract(ROOT_CONTEXT, { traceparent })
  const attributes = { 'messaging.destination.name': channel, 'messaging.message.id': position, 'tidings.deliveries': deliveries }
  trace.getTracer('tidings').startSpan('deliver', { kind: SpanKind.CONSUMER, attributes }, request).end()
})
