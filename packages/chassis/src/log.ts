import { type Logger, pino } from 'pino'
import { LogOutput } from './log-output.ts'

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
  const base = { service, pid: process.pid }
  const output = new LogOutput((dropped) => {
    const line = { level: pino.levels.values['warn'], time: Date.now(), ...base, dropped, msg: 'log lines were dropped' }
    return `${JSON.stringify(line)}\n`
  })
  return pino({ level, base, redact: { paths: secretPaths, censor: '[redacted]' } }, output)
}
