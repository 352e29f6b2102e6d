import { isIP } from 'node:net'
import { refusalOfServerUrl } from '@tidings/chassis'
import { z } from 'zod'

const form = 'mysql://user:password@host:3306/tidings'
const sslForm = 'ssl must be true, or a JSON object of TLS options, such as ssl={"minVersion":"TLSv1.3"}'
/** The profile that mysql2 knows. */
const sslProfile = 'Amazon RDS'

/**
 * Schema of the address of a database. Its refusals contain no part of the value, which has a password. `ssl=true` becomes the options of
 * TLS that verifies the certificate, and the name in it.
 */
export const mysqlUrl = z
  .string({ error: `is required: ${form}` })
  .superRefine((url, context) => {
    const refusal = refusalOf(url)
    if (refusal !== undefined) context.addIssue({ code: 'custom', message: refusal })
  })
  .transform((text) => {
    const url = new URL(text)
    if (url.searchParams.get('ssl') !== 'true') return text
    // The library compares the name with `localhost` where the host is an IP address.
    const verifyIdentity = isIP(url.hostname.replaceAll(/[[\]]/g, '')) === 0
    url.searchParams.set('ssl', JSON.stringify({ minVersion: 'TLSv1.2', verifyIdentity }))
    return url.href
  })

function refusalOf(text: string): string | undefined {
  const refusal = refusalOfServerUrl(text, ['mysql'])
  if (refusal !== undefined) return `${refusal}: ${form}`
  const { pathname, searchParams } = new URL(text)
  if (!/^\/[^/]+$/.test(pathname)) return `names no database: ${form}`
  const ssl = searchParams.get('ssl')
  return ssl === null || ssl === 'true' || ssl === sslProfile || isJsonObject(ssl) ? undefined : sslForm
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}
