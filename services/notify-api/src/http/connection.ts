import type { FastifyInstance } from 'fastify'

const intervalMs = 50

/**
 * Ends idle connections repeatedly while the server closes. A connection whose response was in flight when closing began would stay
 * open for its keep-alive time, more than a minute, and closing waits for it.
 */
export function endIdleConnections(app: FastifyInstance): void {
  app.addHook('preClose', (done) => {
    const timer = setInterval(() => app.server.closeIdleConnections(), intervalMs)
    app.server.once('close', () => clearInterval(timer))
    done()
  })
}
