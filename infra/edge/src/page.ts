import { existsSync } from 'node:fs'
import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance } from 'fastify'
import { sendProblem } from './problem.ts'

/** The page at `/`, and at every other path that a browser asks for as a page: a notification's `redirectPath` leads there. */
export async function servePage(app: FastifyInstance, directory: string): Promise<void> {
  if (!existsSync(join(directory, 'index.html'))) return app.log.warn({ directory }, 'no page has been built')
  await app.register(fastifyStatic, {
    root: directory,
    wildcard: false,
    // Vite names what it puts into assets/ after its content.
    setHeaders: (reply, path) => {
      void reply.header('cache-control', path.includes('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache')
    },
  })
  app.setNotFoundHandler((request, reply) => {
    const wantsPage = request.method === 'GET' && request.headers.accept?.includes('text/html')
    if (wantsPage) return reply.sendFile('index.html')
    return sendProblem(reply, 404)
  })
}
