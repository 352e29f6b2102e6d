import { type Logger, pino } from 'pino'

export type Log = Logger

/** Fields that must never reach a log line, wherever a request is logged. */
const secret = [
  'req.headers.authorization',
  'req.headers.cookie',
  'headers.authorization',
  'headers.cookie',
  '*.token',
  '*.cookie',
]

/** One JSON line for each event, `service` on every line. */
export function openLog(service: string, level: string): Log {
  return pino({ level, base: { service, pid: process.pid }, redact: { paths: secret, censor: '[redacted]' } })
}
