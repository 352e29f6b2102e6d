import { parseArgs } from 'node:util'

export interface Options {
  /** Directory of the report. */
  readonly out: string
  readonly rounds: number
  readonly quick: boolean
  /** Names of the scenarios to run; empty for the default ones. */
  readonly only: readonly string[]
  /** Names of further systems. */
  readonly peers: readonly string[]
  readonly soakMinutes: number | undefined
}

export const usage = `usage: npm run bench -- [options]

  --quick           small sizes, one round: shows that everything works, not how fast it is
  --only NAME,…     scenarios: fan-out, personal, post, latency, connect, resume, memory, token, tab,
                    storage, cancel; also linear, push
  --rounds N        alternating rounds of which the median counts (5)
  --peers NAME,…    also measures spring (needs Java and Maven) and centrifugo (needs Go), built from their registries
  --soak MINUTES    runs everything at once for so long, and reports the growth of each process
  --out DIRECTORY   for results.json, results.md and the charts (.local/bench/report)`

const defaultRounds = 5

/** @throws Error when an argument is not valid. */
export function parseOptions(args: readonly string[], defaultDirectory: string): Options | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', default: '' },
      rounds: { type: 'string' },
      peers: { type: 'string', default: '' },
      soak: { type: 'string' },
      out: { type: 'string', default: defaultDirectory },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return 'help'
  return {
    out: values.out,
    quick: values.quick,
    rounds: values.rounds === undefined ? (values.quick ? 1 : defaultRounds) : positive('--rounds', values.rounds),
    only: list(values.only),
    peers: list(values.peers),
    soakMinutes: values.soak === undefined ? undefined : positive('--soak', values.soak),
  }
}

function list(text: string): string[] {
  return text.split(',').filter((name) => name !== '')
}

function positive(option: string, text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new Error(`${option} needs a positive number, not ${text}`)
  return value
}
