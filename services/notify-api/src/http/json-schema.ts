import * as protocol from '@tidings/protocol'
import { z } from 'zod'

type Json = Record<string, unknown>

const place = '#/components/schemas/'
const conversion = { io: 'input', unrepresentable: 'any', override: adapt } as const

for (const [name, schema] of Object.entries(protocol)) if (schema instanceof z.ZodType) nameSchema(name, schema)

/** Names a schema in the OpenAPI document. Those that `@tidings/protocol` exports have the names of their exports. */
export function nameSchema<Schema extends z.ZodType>(id: string, schema: Schema): Schema {
  const documented = documentedSchema(schema)
  z.globalRegistry.add(documented, { ...documented.meta(), id })
  return schema
}

/** Returns the JSON Schema of a body: of one that has a name, a reference. */
export function bodySchema(schema: z.ZodType): Json {
  const documented = documentedSchema(schema)
  const name = documented.meta()?.id
  return name === undefined ? jsonSchema(documented) : { $ref: `${place}${name}` }
}

/** Returns the JSON Schema of parameters, without references. */
export function jsonSchema(schema: z.ZodType): Json {
  const { $schema: _schema, $defs = {}, id: _id, ...own } = z.toJSONSchema(schema, conversion)
  const inline = (_key: string, value: unknown) => $defs[referredName(value) ?? ''] ?? value
  return JSON.parse(JSON.stringify(own), inline) as Json
}

function referredName(json: unknown): string | undefined {
  return typeof json === 'object' && json !== null && '$ref' in json ? String(json.$ref).replace(/^.*\//, '') : undefined
}

/** Returns the named schemas to which `paths` refer, also through others. */
export function componentSchemas(paths: unknown): Record<string, Json> {
  const { schemas } = z.toJSONSchema(z.globalRegistry, { ...conversion, uri: (id) => `${place}${id}` })
  const found = new Map<string, Json>()
  const visit = (part: unknown): void => {
    for (const [, name = ''] of JSON.stringify(part).matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
      if (found.has(name)) continue
      const { $schema: _schema, $id: _id, ...schema } = schemas[name] as Json
      found.set(name, schema)
      visit(schema)
    }
  }
  visit(paths)
  return Object.fromEntries([...found].toSorted(([one], [other]) => one.localeCompare(other)))
}

function documentedSchema(schema: z.ZodType): z.ZodType {
  return protocol.documentedAs.get(schema) ?? schema
}

/** Adapts a JSON Schema to what generators of clients understand. */
function adapt({ zodSchema, jsonSchema: json }: { zodSchema: z.core.$ZodTypes; jsonSchema: Json }): void {
  // The keys of every JSON object are texts.
  delete json['propertyNames']
  if (json['type'] === 'integer') json['format'] ??= 'int64'
  if (zodSchema instanceof z.ZodDiscriminatedUnion) json['discriminator'] = discriminatorOf(zodSchema)
}

/** Returns the discriminator of a union of named objects. */
function discriminatorOf({ def: { discriminator: propertyName, options } }: z.ZodDiscriminatedUnion): Json {
  const mapping: Json = {}
  for (const option of options) {
    if (!(option instanceof z.ZodObject)) continue
    const literal: unknown = option.shape[propertyName]
    if (literal instanceof z.ZodLiteral) mapping[String(literal.value)] = `${place}${option.meta()?.id}`
  }
  return { propertyName, mapping }
}
