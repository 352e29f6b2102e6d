import { z } from 'zod'
import type { WebhookSettings } from './webhook.ts'

/** Schema of the URL of a webhook. A refusal contains no part of the value, which may have a secret. */
export const webhookUrl = z
  .string()
  .refine(isWebhookUrl, 'must be an https:// or http:// URL without user, password and fragment')

interface Variables {
  readonly WEBHOOK_URL?: string | undefined
  readonly WEBHOOK_SECRET?: readonly Buffer[] | undefined
  readonly WEBHOOK_TIMEOUT_MS: number
  readonly WEBHOOK_CONCURRENCY: number
  readonly WEBHOOK_MAX_ATTEMPTS: number
}

/** Returns the settings of the webhook, or undefined when there is none. */
export function webhookSettings(variables: Variables, context: z.RefinementCtx): WebhookSettings | undefined {
  const { WEBHOOK_URL: url, WEBHOOK_SECRET: keys } = variables
  if (url !== undefined && keys !== undefined) {
    return {
      url,
      keys,
      timeoutMs: variables.WEBHOOK_TIMEOUT_MS,
      concurrency: variables.WEBHOOK_CONCURRENCY,
      maxAttempts: variables.WEBHOOK_MAX_ATTEMPTS,
    }
  }
  const add = (path: string, other: string) =>
    context.addIssue({ code: 'custom', path: [path], message: `is required with ${other}` })
  if (url !== undefined) add('WEBHOOK_SECRET', 'WEBHOOK_URL')
  if (keys !== undefined) add('WEBHOOK_URL', 'WEBHOOK_SECRET')
  return undefined
}

function isWebhookUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, username, password, hash } = new URL(text)
  return ['https:', 'http:'].includes(protocol) && username + password + hash === ''
}
