import { defineConfig } from 'vitest/config'
import { ClosingLineReporter } from './infra/local/src/closing-line-reporter.ts'

const conditions = ['tidings:source', 'node', 'import', 'module', 'default']

export default defineConfig({
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: 'main',
          include: [
            'services/*/test/**/*.test.ts',
            '{packages,infra}/*/src/**/*.test.ts',
            'packages/demo/server/src/**/*.test.ts',
          ],
          exclude: ['infra/acceptance/**'],
        },
      },
      // Slow: they install packages and compile programs. `npm run acceptance` runs them.
      { extends: true, test: { name: 'acceptance', include: ['infra/acceptance/src/**/*.test.ts'] } },
    ],
    globalSetup: ['infra/local/src/vitest-servers.ts'],
    reporters: ['default', new ClosingLineReporter()],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    pool: 'forks',
    // More than the two cores of the machine that tests must fit: most files wait for other processes.
    maxWorkers: 3,
  },
})
