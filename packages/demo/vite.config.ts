import { fileURLToPath } from 'node:url'
import { build, defineConfig, type Plugin } from 'vite'

const client = fileURLToPath(new URL('../client', import.meta.url))

/** Puts `tidings.js` and `tidings.mjs` beside the page, for pages without a bundler, and the service worker `tidings-worker.js`. */
const clientScript: Plugin = {
  name: 'client-script',
  apply: 'build',
  async writeBundle({ dir }) {
    for (const mode of ['script', 'worker']) {
      await build({ root: client, mode, logLevel: 'warn', build: { outDir: dir ?? 'dist', emptyOutDir: false } })
    }
  },
}

const edge = process.env['EDGE_URL'] ?? 'http://localhost:8080'

export default defineConfig({
  plugins: [clientScript],
  // Resolves the packages of this repository to their sources, so that `vite` runs without building them.
  resolve: { conditions: ['tidings:source', 'module', 'browser', 'import', 'default'] },
  // Keeps `light-dark()` and CSS nesting as written: browsers from 2024 on support them.
  build: { target: 'es2023', cssTarget: ['chrome125', 'firefox128', 'safari18'], modulePreload: { polyfill: false } },
  // For `vite` beside `npm start`: serves the page from source, and forwards everything else to the edge.
  server: {
    proxy: Object.fromEntries(
      ['/login', '/logout', '/whoami', '/demo', '/notification', '/task', '/session', '/push', '/ws'].map((path) => [
        path,
        { target: edge, ws: path === '/ws' },
      ]),
    ),
  },
})
