import { serviceVariables, tokenSettings, tokenVariables } from '@tidings/chassis'
import { builtPageDirectory } from '@tidings/demo/server'
import { z } from 'zod'

const gatewayUrls = z
  .string({ error: 'is required: comma-separated URLs such as http://gateway:8082' })
  .transform((list) => list.split(',').map((url) => url.trim()))
  .pipe(z.array(z.url({ protocol: /^http$/ })))

/** The edge's environment variables. */
export const EdgeConfig = z
  .object({
    ...serviceVariables({ service: 8080, ops: 0 }),
    ...tokenVariables('MEMBER'),
    SERVICE_JWT_SECRET: tokenVariables('SERVICE').SERVICE_JWT_SECRET,
    GATEWAY_URLS: gatewayUrls,
    NOTIFY_API_URL: z.url({ protocol: /^https?$/ }),
    /** `local` lets any visitor sign in as any member: only for a developer's own machine. */
    EDGE_LOGIN: z.enum(['local', 'off']).default('off'),
    PAGE_DIRECTORY: z.string().default(builtPageDirectory),
  })
  .transform((variables, context) => {
    const localLogin = variables.EDGE_LOGIN === 'local'
    if (localLogin && variables.NODE_ENV === 'production')
      context.addIssue({
        code: 'custom',
        path: ['EDGE_LOGIN'],
        message: 'allows signing in as any member without a password: not in production',
      })
    const secrets = { member: variables.MEMBER_JWT_SECRET, service: variables.SERVICE_JWT_SECRET }
    for (const [name, secret] of Object.entries(secrets)) {
      if (localLogin && secret === undefined)
        context.addIssue({
          code: 'custom',
          path: [`${name.toUpperCase()}_JWT_SECRET`],
          message: 'is required with EDGE_LOGIN=local',
        })
    }
    return {
      host: variables.HOST,
      port: variables.PORT,
      logLevel: variables.LOG_LEVEL,
      gatewayUrls: variables.GATEWAY_URLS,
      /** A client may name the gateway it wants: the demo page switches between them. */
      gatewayByQuery: localLogin,
      notifyApiUrl: variables.NOTIFY_API_URL,
      demo: {
        allowedOrigins: variables.ALLOWED_ORIGINS,
        memberCookie: variables.MEMBER_COOKIE,
        memberTokens: tokenSettings('MEMBER', variables, context),
        signingSecrets: localLogin ? { member: secrets.member ?? '', service: secrets.service ?? '' } : undefined,
        pageDirectory: variables.PAGE_DIRECTORY,
      },
    }
  })
export type EdgeConfig = z.infer<typeof EdgeConfig>
