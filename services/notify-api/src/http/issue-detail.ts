import type { z } from 'zod'

const types: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'an integer',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
}
const units: Readonly<Record<string, string>> = { string: 'characters', array: 'items' }

/** Returns the `detail` of an issue whose schema has no message of its own. */
export function issueDetail(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === 'invalid_union' && issue['options']) return `must be ${oneOf(issue['options'] as unknown[])}`
  if (issue.input === undefined) return 'is required'
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${types[issue.expected] ?? issue.expected}`
    case 'invalid_value':
      return `must be ${oneOf(issue.values)}`
    case 'too_small':
      if (issue.origin in units)
        return issue.minimum === 1 ? 'must not be empty' : `must have at least ${sizeOf(issue.minimum, issue.origin)}`
      return `must be ${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}`
    case 'too_big':
      if (issue.origin in units) return `must have at most ${sizeOf(issue.maximum, issue.origin)}`
      return `must be ${issue.inclusive ? 'at most' : 'less than'} ${issue.maximum}`
    case 'invalid_format':
      return `must match ${issue.pattern ?? issue.format}`
    default:
      return undefined
  }
}

function sizeOf(size: number | bigint, origin: string): string {
  return `${size} ${units[origin]}`
}

function oneOf(values: readonly unknown[]): string {
  return values.map((value) => JSON.stringify(value)).join(' or ')
}
