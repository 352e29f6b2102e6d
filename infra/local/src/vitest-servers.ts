import type { TestProject } from 'vitest/node'
import { type DatabaseServer, startDatabase } from './database.ts'

// The re-export is what makes the compiler find the module that is added to.
export type { ProvidedContext } from 'vitest'
declare module 'vitest' {
  export interface ProvidedContext {
    /** URL of the run's database server: `createDatabase(inject('databaseServerUrl'), 'name_of_the_file')`. */
    databaseServerUrl: string
  }
}

let database: DatabaseServer | undefined

/** Tests run on a private database server, or on the one at TEST_MYSQL_URL, whose user may create databases. */
export async function setup(project: TestProject): Promise<void> {
  const { TEST_MYSQL_URL } = process.env
  if (!TEST_MYSQL_URL) database = await startDatabase()
  project.provide('databaseServerUrl', TEST_MYSQL_URL || (database?.url ?? ''))
}

export async function teardown(): Promise<void> {
  await database?.stop()
}
