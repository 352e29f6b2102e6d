/** The database did not reply in time, or not at all: the statement may or may not have taken effect. */
export class DatabaseAway extends Error {
  override readonly name = 'DatabaseAway'

  constructor(options?: ErrorOptions) {
    super('the database does not reply', options)
  }
}

interface ServerError {
  readonly code?: string
  readonly errno?: number
  readonly sqlState?: string
  readonly fatal?: boolean
}

const deadlock = 1213
const lockWaitTimeout = 1205
/** Group replication has rolled back the transaction because another node committed a conflicting one. Galera reports a deadlock. */
const rolledBackDuringCommit = 3101
const duplicateEntry = 1062
/** MySQL reports it with the general SQLSTATE HY000, MariaDB with 23000. */
const checkViolated = 3819

// Too many connections (two codes), shutdown, killed (two codes), silent for too long, the three of a server that has become a read-only replica, and a node
// outside the majority of its cluster: of Galera (also during COMMIT), and of group replication.
const awayNumbers: ReadonlySet<number | undefined> = new Set([
  1040, 1203, 1053, 1317, 1927, 4031, 1290, 1792, 1836, 1047, 1180, 3100,
])
const timedOut = 'PROTOCOL_SEQUENCE_TIMEOUT'

/** True when this connection has not replied, or can do no more work. */
export function isAway(error: unknown): boolean {
  if (error instanceof DatabaseAway) return true
  const { code, errno, fatal } = error as ServerError
  return fatal === true || code === timedOut || awayNumbers.has(errno)
}

/** True when the same statement may succeed at the next attempt. */
export function isTransient(error: unknown): boolean {
  const { errno } = error as ServerError
  return errno === deadlock || errno === lockWaitTimeout || errno === rolledBackDuringCommit
}

/** True when a unique key exists already. */
export function isDuplicate(error: unknown): boolean {
  return (error as ServerError).errno === duplicateEntry
}

/** True when a table, a column, an index or a row exists already, or is not there to be dropped. */
export function isAlreadyDone(error: unknown): boolean {
  const { errno } = error as ServerError
  return isDuplicate(error) || [1050, 1060, 1061, 1091].includes(errno ?? 0)
}

/** True when the database replied, with an error. */
export function isErrorReply(error: unknown): boolean {
  return (error as ServerError).sqlState !== undefined
}

/** True when a table does not exist. */
export function isMissingTable(error: unknown): boolean {
  return (error as ServerError).errno === 1146
}

/** True when the server refuses the user or the password, or a connection without TLS: MariaDB does not distinguish them. */
export function isLoginRefused(error: unknown): boolean {
  return [1045, 1698, 3159].includes((error as ServerError).errno ?? 0)
}

/** True when the user lacks a privilege: on the database, a table, a column, or the server. */
export function isDenied(error: unknown): boolean {
  return [1044, 1142, 1143, 1227].includes((error as ServerError).errno ?? 0)
}

/** True when the database refuses the values: bad data (class 22), a constraint (23), or a SIGNAL of a trigger (45). */
export function isRefusal(error: unknown): boolean {
  const { errno, sqlState = '' } = error as ServerError
  return errno === checkViolated || /^(?:22|23|45)/.test(sqlState)
}

/** Returns what identifies an error of the database in a log line. Its message quotes values, and its name is often that of another error. */
export function databaseCodes(error: unknown): { readonly errno: number | undefined; readonly sqlState: string | undefined } {
  const { errno, sqlState } = error as ServerError
  return { errno, sqlState }
}
