import * as fc from 'fast-check'

/** The part of JSON Schema that the document uses. */
export interface Schema {
  readonly type?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | Schema
  readonly items?: Schema
  readonly minItems?: number
  readonly maxItems?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly pattern?: string
  readonly minimum?: number
  readonly exclusiveMinimum?: number
  readonly maximum?: number
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly allOf?: readonly Schema[]
}

const longest = 300

/** Values that a schema allows. */
export function valid(schema: Schema): fc.Arbitrary<unknown> {
  if (schema.const !== undefined) return fc.constant(schema.const)
  if (schema.enum) return fc.constantFrom(...schema.enum)
  if (schema.type === 'object') return validObject(schema)
  const branches = schema.anyOf ?? schema.oneOf
  if (branches) return fc.oneof(...branches.map(valid))
  if (schema.type === 'array') {
    return fc.array(valid(schema.items ?? {}), { minLength: schema.minItems ?? 0, maxLength: Math.min(schema.maxItems ?? 5, 5) })
  }
  if (schema.type === 'integer')
    return fc
      .oneof(fc.integer({ min: least(schema), max: least(schema) + 1_000 }), fc.maxSafeInteger())
      .filter((n) => n >= least(schema) && n <= (schema.maximum ?? n))
  if (schema.type === 'number') return fc.double({ min: schema.minimum ?? 0, max: schema.maximum ?? 1e6, noNaN: true })
  if (schema.type === 'string') return validString(schema)
  if (schema.type === 'boolean') return fc.boolean()
  if (schema.type === 'null') return fc.constant(null)
  return fc.jsonValue({ maxDepth: 3 })
}

/** A value of another type, or out of bounds. */
export function broken(schema: Schema): fc.Arbitrary<unknown> {
  const wrongTypes = [null, true, 1.5, -1, 'x\u0000', '', [], {}, [[]], { a: 1 }]
  const others: fc.Arbitrary<unknown>[] = [fc.constantFrom(...wrongTypes)]
  if (schema.maxLength !== undefined) others.push(fc.constant('/'.padEnd(schema.maxLength + 1, 'a')))
  if (schema.maximum !== undefined) others.push(fc.constant(schema.maximum + 1), fc.constant(1e300))
  if (schema.maxItems !== undefined) others.push(fc.constant(Array.from({ length: schema.maxItems + 1 }, () => 1)))
  return fc.oneof(...others)
}

function validObject({ properties = {}, required = [], additionalProperties, oneOf = [] }: Schema): fc.Arbitrary<unknown> {
  if (Object.keys(properties).length === 0 && additionalProperties !== false)
    return fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 }))
  const values = Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, valid(schema)]))
  const record = (keys: readonly string[], without: readonly string[]) =>
    fc.record(Object.fromEntries(Object.entries(values).filter(([name]) => !without.includes(name))), { requiredKeys: [...keys] })
  // One of several sets of required fields: the fields of the other sets are left out.
  const sets = oneOf.flatMap((one) => (one.required ? [one.required] : []))
  if (sets.length === 0) return record(required, [])
  return fc.oneof(
    ...sets.map((set) =>
      record(
        [...required, ...set],
        sets.flat().filter((name) => !set.includes(name)),
      ),
    ),
  )
}

function validString({ minLength = 0, maxLength = longest, pattern, allOf = [] }: Schema): fc.Arbitrary<string> {
  const patterns = [pattern, ...allOf.map((one) => one.pattern)].flatMap((text) =>
    text === undefined ? [] : [new RegExp(text, 'u')],
  )
  const text = fc.string({ unit: 'binary', minLength, maxLength: Math.min(maxLength, longest) })
  const uuids = fc.uuid()
  const ascii = fc.string({ minLength, maxLength: 50 })
  const paths = fc.webPath().map((path) => (path.startsWith('/') ? path : `/${path}`))
  const candidates = patterns.length === 0 ? text : fc.oneof(uuids, ascii, paths, text)
  const suits = (value: string) =>
    value.length >= minLength && value.length <= maxLength && patterns.every((one) => one.test(value))
  return candidates.filter(suits)
}

function least({ minimum, exclusiveMinimum }: Schema): number {
  return minimum ?? (exclusiveMinimum === undefined ? 0 : exclusiveMinimum + 1)
}
