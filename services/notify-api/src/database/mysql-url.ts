import { refusalOfServerUrl } from '@tidings/chassis'
import { z } from 'zod'

const form = 'mysql://user:password@host:3306/tidings'
const sslForm = 'ssl must be a JSON object of TLS options, such as ssl={"minVersion":"TLSv1.2"}'
/** The profile that mysql2 knows. */
const sslProfile = 'Amazon RDS'

/** Schema of the address of a database. Its refusals contain no part of the value, which has a password. */
export const mysqlUrl = z.string({ error: `is required: ${form}` }).superRefine((url, context) => {
  const refusal = refusalOf(url)
  if (refusal !== undefined) context.addIssue({ code: 'custom', message: refusal })
})

function refusalOf(text: string): string | undefined {
  const refusal = refusalOfServerUrl(text, ['mysql'])
  if (refusal !== undefined) return `${refusal}: ${form}`
  const { pathname, searchParams } = new URL(text)
  if (!/^\/[^/]+$/.test(pathname)) return `names no database: ${form}`
  const ssl = searchParams.get('ssl')
  return ssl === null || ssl === sslProfile || isJsonObject(ssl) ? undefined : sslForm
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}
