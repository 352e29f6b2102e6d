import { InvalidPart } from './problem-handler.ts'

/** Fields of a body that hold any JSON value. */
const anyJsonFields: ReadonlySet<unknown> = new Set(['data', 'result'])
/** Matches every JSON text with a number of 16 digits or with an exponent, and few others: only such numbers can be changed. */
const suspicious = /[:,[\s]-?\d(?:[\d.]{15}|[\d.]*[eE])/
const tokens = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*|[{}[\],:]/g
const numberParts = /^-?(?<integer>\d+)(?:\.(?<fraction>\d+))?(?:[eE](?<exponent>[+-]?\d+))?$/
/** Programs print a double with at most this many digits. */
const maxDoubleDigits = 17

/**
 * Returns the refusal of a body with a number in `data` or `result` that JavaScript would change. `json` must be valid JSON.
 *
 * A double that another program printed with up to 17 digits is accepted, although JavaScript may print it with other digits.
 */
export function refuseInexactNumber(json: string): InvalidPart | undefined {
  const path = suspicious.test(json) ? pathOfInexactNumber(json) : undefined
  const message = 'must be a number that JavaScript keeps exactly: send it as a string'
  return path && new InvalidPart('body', [{ code: 'custom', path, message, input: undefined }])
}

function pathOfInexactNumber(json: string): PropertyKey[] | undefined {
  /** The current key or index in each open object or array. */
  const path: (string | number)[] = []
  let lastText = '""'
  for (const [token] of json.matchAll(tokens)) {
    const top = path.length - 1
    const current = path[top]
    if (token.startsWith('"')) lastText = token
    else if (token === '{') path.push('')
    else if (token === '[') path.push(0)
    else if (token === '}' || token === ']') path.pop()
    else if (token === ':') path[top] = JSON.parse(lastText) as string
    else if (token === ',') path[top] = typeof current === 'number' ? current + 1 : ''
    else if (anyJsonFields.has(path[0]) && !isKept(token)) return path
  }
  return undefined
}

function isKept(token: string): boolean {
  const value = Number(token)
  const { digits, exponent } = decimal(token)
  const kept = decimal(String(value))
  if (kept.digits === digits && kept.exponent === exponent) return true
  const isDouble = /[.eE]/.test(token) && digits.length <= maxDoubleDigits
  return isDouble && Number.isFinite(value) && value !== 0
}

/** Returns the significant digits of a number, and the power of ten of the last one. */
function decimal(token: string): { digits: string; exponent: number } {
  const { integer = '', fraction = '', exponent = '0' } = numberParts.exec(token)?.groups ?? {}
  const all = `${integer}${fraction}`
  // Loops: a regular expression takes quadratic time for a number with many zeros.
  let end = all.length
  while (all[end - 1] === '0') end--
  let start = 0
  while (start < end && all[start] === '0') start++
  if (start === end) return { digits: '', exponent: 0 }
  return { digits: all.slice(start, end), exponent: Number(exponent) - fraction.length + all.length - end }
}
