import type { FastifyInstance, HTTPMethods } from 'fastify'
import { Problem } from './problem.ts'

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
        onRequest: (_request, _reply, done) => {
          done(new Problem('method-not-allowed', `This path takes ${allow}.`, { headers: { allow } }))
        },
        handler: () => undefined,
      })
    }
  }
}
