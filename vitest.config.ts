import { defineConfig } from 'vitest/config'
import { ClosingLineReporter } from './infra/local/src/closing-line-reporter.ts'

const conditions = ['tidings:source', 'node', 'import', 'module', 'default']

/** What is shipped, tried from outside. Slow: these install packages, compile programs, start whole deployments or use the demo page. */
const acceptance = ['infra/acceptance/src/**/*.test.ts', 'infra/e2e/src/{galera,nginx,npm-start,page-*,privilege,tls}.test.ts']

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
          exclude: acceptance,
        },
      },
      { extends: true, test: { name: 'acceptance', include: acceptance } },
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
