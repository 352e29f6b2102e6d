import type { FastifyInstance } from 'fastify'

const intervalMs = 50

/**
 * A connection whose answer was on its way when closing began stays open for its keep-alive, more than a minute, and closing waits for
 * it: so idle ones are ended again and again until none is left.
 */
export function endIdleConnections(app: FastifyInstance): void {
  app.addHook('preClose', (done) => {
    const timer = setInterval(() => app.server.closeIdleConnections(), intervalMs)
    app.server.once('close', () => clearInterval(timer))
    done()
  })
}
