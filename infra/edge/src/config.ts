import { join } from 'node:path'
import { serviceVariables, tokenKey, tokenVariables } from '@tidings/chassis'
import { z } from 'zod'

const urls = z
  .string({ error: 'is required: comma-separated URLs such as http://gateway:8082' })
  .transform((list) => list.split(',').map((url) => url.trim()))
  .pipe(z.array(z.url({ protocol: /^http$/ })))

/** The edge's environment variables. */
export const EdgeConfig = z
  .object({
    ...serviceVariables({ service: 8080, ops: 0 }),
    ...tokenVariables('MEMBER'),
    SERVICE_JWT_SECRET: tokenVariables('SERVICE').SERVICE_JWT_SECRET,
    GATEWAY_URLS: urls,
    NOTIFY_API_URL: z.url({ protocol: /^https?$/ }),
    /** `local` lets anybody sign in as any member: for a developer's own machine. */
    EDGE_LOGIN: z.enum(['local', 'off']).default('off'),
    PAGE_DIRECTORY: z.string().default(join(import.meta.dirname, '../../../packages/demo/dist')),
  })
  .transform((given, context) => {
    if (given.EDGE_LOGIN === 'local' && given.NODE_ENV === 'production')
      context.addIssue({ code: 'custom', path: ['EDGE_LOGIN'], message: 'lets anybody sign in as any member: not in production' })
    const secrets = { member: given.MEMBER_JWT_SECRET, service: given.SERVICE_JWT_SECRET }
    for (const [name, secret] of Object.entries(secrets)) {
      if (given.EDGE_LOGIN === 'local' && secret === undefined)
        context.addIssue({
          code: 'custom',
          path: [`${name.toUpperCase()}_JWT_SECRET`],
          message: 'is required with EDGE_LOGIN=local',
        })
    }
    return {
      host: given.HOST,
      port: given.PORT,
      logLevel: given.LOG_LEVEL,
      allowedOrigins: given.ALLOWED_ORIGINS,
      cookie: given.MEMBER_COOKIE,
      memberKey: tokenKey('MEMBER', given, context),
      gatewayUrls: given.GATEWAY_URLS,
      notifyApiUrl: given.NOTIFY_API_URL,
      pageDirectory: given.PAGE_DIRECTORY,
      /** What the local login signs with; undefined where there is none. */
      login: given.EDGE_LOGIN === 'local' ? { member: secrets.member ?? '', service: secrets.service ?? '' } : undefined,
    }
  })
export type EdgeConfig = z.infer<typeof EdgeConfig>
