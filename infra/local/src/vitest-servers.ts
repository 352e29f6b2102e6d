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

let database: DatabaseServer

export async function setup(project: TestProject): Promise<void> {
  database = await startDatabase()
  project.provide('databaseServerUrl', database.url)
}

export async function teardown(): Promise<void> {
  await database.stop()
}
