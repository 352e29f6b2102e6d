import { type Logger, pino } from 'pino'

/** Structured log of a service. */
export type Log = Logger

/** Paths of fields that are never written to the log. */
const secretPaths = [
  'req.headers.authorization',
  'req.headers.cookie',
  'headers.authorization',
  'headers.cookie',
  '*.token',
  '*.cookie',
]

/** Opens a log that writes one JSON line per event to stdout, each with `service` and `pid`. `level` is a level of pino. */
export function openLog(service: string, level: string): Log {
  return pino({ level, base: { service, pid: process.pid }, redact: { paths: secretPaths, censor: '[redacted]' } })
}
