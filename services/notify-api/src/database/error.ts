/** The database did not answer: what was asked may or may not have happened. */
export class DatabaseAway extends Error {
  override readonly name = 'DatabaseAway'

  constructor(options?: ErrorOptions) {
    super('the database does not answer', options)
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
const duplicateEntry = 1062
/** MySQL gives it the class of everything else (HY000); MariaDB says 23000. */
const checkViolated = 3819

// Too many connections (two codes), shutdown, killed, and the three of a server that has become a read-only replica.
const awayNumbers: ReadonlySet<number | undefined> = new Set([1040, 1203, 1053, 1317, 1927, 1290, 1792, 1836])
const timedOut = 'PROTOCOL_SEQUENCE_TIMEOUT'

/** No answer from this connection, or none that more work on it could get. */
export function isAway(error: unknown): boolean {
  if (error instanceof DatabaseAway) return true
  const { code, errno, fatal } = error as ServerError
  return fatal === true || code === timedOut || awayNumbers.has(errno)
}

/** The same again may well succeed. */
export function isTransient(error: unknown): boolean {
  const { errno } = error as ServerError
  return errno === deadlock || errno === lockWaitTimeout
}

export function isDuplicate(error: unknown): boolean {
  return (error as ServerError).errno === duplicateEntry
}

/** The database refuses the values: bad data (class 22), a constraint (23), or a trigger that says so (45). */
export function isRefusal(error: unknown): boolean {
  const { errno, sqlState = '' } = error as ServerError
  return errno === checkViolated || /^(?:22|23|45)/.test(sqlState)
}
