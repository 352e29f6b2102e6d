import { defineConfig } from 'vite'

const edge = process.env['EDGE_URL'] ?? 'http://localhost:8080'

export default defineConfig({
  // Resolves the packages of this repository to their sources, so that `vite` runs without building them.
  resolve: { conditions: ['tidings:source', 'module', 'browser', 'import', 'default'] },
  // Keeps `light-dark()` and CSS nesting as written: browsers from 2024 on support them.
  build: { target: 'es2023', cssTarget: ['chrome125', 'firefox128', 'safari18'], modulePreload: { polyfill: false } },
  // For `vite` beside `npm start`: serves the page from source, and forwards everything else to the edge.
  server: {
    proxy: Object.fromEntries(
      ['/login', '/logout', '/whoami', '/demo', '/notification', '/task', '/session', '/ws'].map((path) => [
        path,
        { target: edge, ws: path === '/ws' },
      ]),
    ),
  },
})
