import type { FastifyInstance, HTTPMethods } from 'fastify'
import { unknownPath } from './problem-handler.ts'
import { Problem } from './problem.ts'

/** An integer, or the UUID of a task. */
const idForm = /^(?:\d+|[0-9a-f-]{36})$/

const all = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const satisfies HTTPMethods[]

/**
 * Makes every path respond to its other methods with 405. Call this before the routes are added, and the function that it returns
 * afterwards.
 */
export function refuseOtherMethods(app: FastifyInstance): () => void {
  const methods = new Map<string, Set<string>>()
  app.addHook('onRoute', ({ url, method }) => {
    const known = methods.get(url) ?? new Set<string>()
    for (const one of [method].flat()) known.add(one)
    methods.set(url, known)
  })
  return () => {
    for (const [url, known] of Array.from(methods)) {
      if (url === '*') continue
      const allow = [...known].join(', ')
      app.route({
        url,
        method: all.filter((method) => !known.has(method)),
        schema: { hide: true },
        onRequest: ({ params }, _reply, done) => {
          // `/notification/sned` is a misspelt path, not a notification that takes DELETE only.
          const { id = '0' } = params as { id?: string }
          if (!idForm.test(id)) return done(unknownPath())
          done(new Problem('method-not-allowed', `This path takes ${allow}.`, { headers: { allow } }))
        },
        handler: () => undefined,
      })
    }
  }
}
