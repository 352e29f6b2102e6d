import { Variables as ApiVariables } from '@tidings/notify-api/config'
import { Variables as GatewayVariables } from '@tidings/realtime-gateway/config'

/** What the schema of a variable is asked. */
interface Schema {
  safeParse(value: unknown): {
    readonly success: boolean
    readonly data?: unknown
    readonly error?: { readonly issues: readonly { readonly message: string; readonly values?: readonly unknown[] }[] }
  }
}

const services: readonly (readonly [name: string, shape: Readonly<Record<string, Schema>>])[] = [
  ['notify-api', ApiVariables.shape],
  ['gateway', GatewayVariables.shape],
]
/** Beyond every bound, and an integer. */
const beyond = Number.MAX_SAFE_INTEGER - 1

/** Returns the rows of a table of all variables of both services, as their schemas have them: heading first, cells as text. */
export function settingRows(): string[][] {
  const names = [...new Set(services.flatMap(([, shape]) => Object.keys(shape)))]
  return [['variable', 'read by', 'default', 'allowed'], ...names.map((name) => row(name))]
}

function row(name: string): string[] {
  const readers = services.filter(([, shape]) => shape[name])
  const schemas = readers.map(([, shape]) => shape[name] as Schema)
  const defaults = [...new Set(schemas.map(defaultOf))]
  const by = readers.length === services.length ? 'both' : (readers[0]?.[0] ?? '')
  return [`\`${name}\``, by, defaults.join(', '), allowed(schemas[0] as Schema)]
}

function defaultOf(schema: Schema): string {
  const { success, data } = schema.safeParse(undefined)
  if (!success) return '**required**'
  const text = typeof data === 'string' || typeof data === 'number' || typeof data === 'boolean' ? `${data}` : ''
  return text && `\`${text}\``
}

/** Returns the values of an enumeration, or the bounds of a number, from what the schema says when it refuses. */
function allowed(schema: Schema): string {
  const values = schema.safeParse('\0').error?.issues.flatMap((issue) => issue.values ?? []) ?? []
  if (values.length > 0) return values.map((value) => `\`${String(value)}\``).join(' ')
  const [least, most] = [-beyond, beyond].map((value) => boundOf(schema, value))
  return least === undefined || most === undefined ? '' : `${least} to ${most}`
}

function boundOf(schema: Schema, value: number): string | undefined {
  const messages = schema.safeParse(String(value)).error?.issues.map(({ message }) => message) ?? []
  const bounds = messages.flatMap(
    (message) => /(?:is at (?:least|most) |[<>]=)(\d+)$/.exec(message)?.[1] ?? (message.endsWith('>0') ? '1' : []),
  )
  return bounds.at(-1)
}
