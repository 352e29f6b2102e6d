import type { TestProject } from 'vitest/node'
import { type DatabaseServer, startDatabase } from './database.ts'

// The compiler finds the augmented module through this re-export.
export type { ProvidedContext } from 'vitest'
declare module 'vitest' {
  export interface ProvidedContext {
    /** URL of the run's database server: `createDatabase(inject('databaseServerUrl'), 'name_of_the_file')`. */
    databaseServerUrl: string
  }
}

let database: DatabaseServer | undefined

/** Starts a private database server for the tests, or uses the one at TEST_MYSQL_URL, whose user may create databases. */
export async function setup(project: TestProject): Promise<void> {
  const { TEST_MYSQL_URL } = process.env
  if (!TEST_MYSQL_URL) database = await startDatabase()
  project.provide('databaseServerUrl', TEST_MYSQL_URL || (database?.url ?? ''))
}

export async function teardown(): Promise<void> {
  await database?.stop()
}
