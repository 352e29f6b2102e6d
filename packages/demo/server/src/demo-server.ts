import cookie from '@fastify/cookie'
import { originMatcher } from '@tidings/chassis'
import type { FastifyInstance } from 'fastify'
import { serveAsk } from './ask.ts'
import { serveLogin, serveWhoami } from './login.ts'
import type { DemoOptions } from './options.ts'
import { servePage } from './page.ts'
import { errorHandler, Refusal } from './refusal.ts'
import { serveSend } from './send.ts'

/**
 * Fastify plugin: the demo page and the backend that a product would have in its place. With `signingSecrets` any visitor may sign in
 * as any member and send to any member: only for a developer's own machine.
 */
export async function demoServer(app: FastifyInstance, options: DemoOptions): Promise<void> {
  app.setErrorHandler(errorHandler)
  // JSON only: an HTML form on another site cannot send it.
  app.removeContentTypeParser('text/plain')
  await app.register(cookie)
  serveWhoami(app, options)
  const { signingSecrets } = options
  if (signingSecrets) {
    await app.register(async (actions) => {
      refuseOtherOrigins(actions, options.allowedOrigins)
      serveLogin(actions, options, signingSecrets.member)
      await serveSend(actions, options, signingSecrets.service)
      serveAsk(actions, options, signingSecrets.service)
    })
  }
  await servePage(app, options.pageDirectory)
}

/** Browsers send an Origin with every POST; other clients, such as curl, send none and are let through. */
function refuseOtherOrigins(app: FastifyInstance, allowedOrigins: readonly string[]): void {
  const allowed = originMatcher(allowedOrigins)
  app.addHook('preValidation', async ({ headers: { origin } }) => {
    if (origin !== undefined && !allowed(origin)) throw new Refusal(403, 'this Origin is not allowed')
  })
}
