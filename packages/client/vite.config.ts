import { readFileSync } from 'node:fs'
import { defineConfig, type UserConfig } from 'vite'

const { exports } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8')) as {
  exports: Record<string, string | { 'tidings:source': string }>
}
const sources = Object.values(exports).flatMap((entry) => (typeof entry === 'string' ? [] : entry['tidings:source']))

const shared: UserConfig = {
  // Bundles the parts of @tidings/protocol that the client uses, from their sources.
  resolve: { conditions: ['tidings:source', 'module', 'browser', 'import', 'default'] },
}

/** The modules of the package: one for each entry of `exports`. stompjs and React are installed beside them. */
const modules: UserConfig = {
  ...shared,
  build: {
    outDir: 'dist/module',
    target: 'es2023',
    minify: false,
    sourcemap: true,
    lib: {
      entry: Object.fromEntries(sources.map((source) => [source.replace(/^\.\/src\/(.*)\.tsx?$/, '$1'), source])),
      formats: ['es'],
    },
    rolldownOptions: { external: [/^@stomp\/stompjs$/, /^react$/] },
  },
}

/** Files that a page without a bundler loads: `tidings.js` is a script with the global `Tidings`, `tidings.mjs` a module. */
const script: UserConfig = {
  ...shared,
  build: {
    outDir: 'dist/script',
    target: 'es2023',
    sourcemap: true,
    lib: {
      entry: 'src/script.ts',
      name: 'Tidings',
      formats: ['iife', 'es'],
      fileName: (format) => (format === 'es' ? 'tidings.mjs' : 'tidings.js'),
    },
    rolldownOptions: { output: { minify: true } },
  },
}

/** The service worker: `tidings-worker.js`, a script that a product serves. */
const worker: UserConfig = {
  build: {
    outDir: 'dist/worker',
    target: 'es2023',
    lib: { entry: 'worker/tidings-worker.ts', formats: ['iife'], name: 'tidingsWorker', fileName: () => 'tidings-worker.js' },
    rolldownOptions: { output: { minify: true } },
  },
}

export default defineConfig(({ mode }) => (mode === 'script' ? script : mode === 'worker' ? worker : modules))
