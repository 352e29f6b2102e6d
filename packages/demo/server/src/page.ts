import { existsSync } from 'node:fs'
import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import { sendProblem } from '@tidings/chassis'
import type { FastifyInstance } from 'fastify'

/** Where `vite build` puts the demo page. */
export const builtPageDirectory = join(import.meta.dirname, '../../dist')

/**
 * Serves the page at `/`, and at every unknown path that a browser opens: the `redirectPath` of a notification leads to one. Other
 * unknown paths get 404.
 */
export async function servePage(app: FastifyInstance, directory: string): Promise<void> {
  if (!existsSync(join(directory, 'index.html'))) return app.log.warn({ directory }, 'no page has been built')
  await app.register(fastifyStatic, {
    root: directory,
    wildcard: false,
    // Vite puts a hash of the content into the names of assets.
    setHeaders: (reply, path) => {
      void reply.header('cache-control', path.includes('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache')
    },
  })
  app.setNotFoundHandler((request, reply) => {
    const opensPage = request.method === 'GET' && request.headers.accept?.includes('text/html')
    if (opensPage) return reply.sendFile('index.html')
    return sendProblem(reply, 404)
  })
}
