import { defineConfig } from 'vite'

const edge = process.env['EDGE_URL'] ?? 'http://localhost:8080'

export default defineConfig({
  // The packages beside this one as sources: `vite` needs no build of theirs.
  resolve: { conditions: ['tidings:source', 'module', 'browser', 'import', 'default'] },
  // `light-dark()` and nesting as written: every browser of the last two years has them.
  build: { target: 'es2023', cssTarget: ['chrome125', 'firefox128', 'safari18'], modulePreload: { polyfill: false } },
  // `vite` beside `npm start`: the page as it is edited, everything else from the edge.
  server: {
    proxy: Object.fromEntries(
      ['/login', '/logout', '/whoami', '/demo', '/notification', '/task', '/session', '/ws'].map((path) => [
        path,
        { target: edge, ws: path === '/ws' },
      ]),
    ),
  },
})
