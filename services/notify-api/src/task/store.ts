import {
  type MemberId,
  memberChannel,
  type TaskAnnouncement,
  type TaskEvent,
  type TaskState,
  tracedBody,
} from '@tidings/protocol'
import type { Connection, Database } from '../database/database.ts'
import { DatabaseAway, isDuplicate } from '../database/error.ts'
import { findMember, keyText, storeMember } from '../database/member-key.ts'
import type { RequestTrace } from '../http/trace.ts'
import { bodyEndOf, bodyOf, channelOf } from '../notification/published-body.ts'
import type { OutboxRow } from '../outbox/row.ts'
import { insertOutboxRow } from '../outbox/store.ts'
import { type Escalation, escalationInsert, escalationRows } from '../reach/escalation.ts'
import {
  itemColumns,
  rowColumns,
  rowOf,
  type TaskColumns,
  type TaskIdentity,
  type TaskRow,
  taskChannel,
  type TerminalStatus,
} from './row.ts'

/** A notification for the member's inbox. */
export interface EndNotification {
  readonly message: string
  readonly redirectPath: string
  readonly kind?: string | undefined
  readonly escalation?: Escalation | undefined
}

export interface TaskEnd {
  readonly status: TerminalStatus
  readonly result?: unknown
  readonly error?: string | undefined
  readonly notify?: EndNotification | undefined
  /** The request that ends the task. */
  readonly trace?: RequestTrace
}

/** The outbox rows that publish an end, that of its notification last. */
export interface StoredEnd {
  readonly rows: readonly OutboxRow[]
  readonly notificationId: number | undefined
}

/** `isNew` is false when the task existed before. */
export interface StoredCreation {
  readonly row: TaskRow
  readonly isNew: boolean
  readonly outboxRows: readonly OutboxRow[]
}

/** An end that is not committed within this time is rolled back. Shorter than the time after which it counts as abandoned in Redis. */
const endTimeoutMs = 5_000
/** How long a claimed task is hidden from other instances. */
const claimMs = 5_000

/** How long a cancel that comes before its task is kept. */
const earlyCancelMinutes = 10
/** Most cancels of one member that are kept for tasks which do not exist yet. Concurrent calls may exceed it by a few. */
const maxEarlyCancels = 10
/** Rows of the member, the newest ones, among which those cancels are counted. */
const countedRows = 100

/** Tasks and their ends in MySQL. An end is written once, in one transaction with the outbox rows that publish it. */
export class TaskStore {
  readonly #database: Database
  readonly #leaseMs: number

  constructor(database: Database, leaseMs: number) {
    this.#database = database
    this.#leaseMs = leaseMs
  }

  /** When a task with this id exists, returns that one, which may be of another member or kind. */
  async create(task: TaskIdentity, trace: RequestTrace): Promise<StoredCreation> {
    try {
      const outboxRows = await this.#database.transaction(async (connection) => {
        await connection.write(
          `INSERT INTO task (task_id, member_id, kind, title, status, lease_until)
           VALUES (?, ?, ?, ?, 'queued', NOW(3) + INTERVAL ? MICROSECOND)`,
          [task.taskId, await storeMember(connection, task.memberId), task.kind, task.title ?? null, this.#leaseMs * 1_000],
        )
        return [await insertAnnouncement(connection, task, { type: 'started', status: 'queued', ...trace })]
      })
      return { row: await this.#findExisting(task.taskId), isNew: true, outboxRows }
    } catch (error) {
      if (!isDuplicate(error)) throw error
      const row = await this.#findExisting(task.taskId)
      return row.kind === null && row.memberId === task.memberId
        ? this.#createCancelled(task, trace)
        : { row, isNew: false, outboxRows: [] }
    }
  }

  async find(taskId: string): Promise<TaskRow | undefined> {
    const [row] = await this.#database.run((connection) =>
      connection.rows<TaskColumns>(`SELECT ${rowColumns} FROM task WHERE task_id = ?`, [taskId]),
    )
    return row && rowOf(row)
  }

  /** Returns tasks of a member, newest first; one more than `limit` when there are more. */
  async page(memberId: MemberId, limit: number, before: number | undefined): Promise<TaskRow[]> {
    const rows = await this.#database.run(async (connection) =>
      connection.rows<TaskColumns>(
        `SELECT ${itemColumns} FROM task FORCE INDEX (task_page)
         WHERE member_id = ? AND kind IS NOT NULL${before ? ' AND task_number < ?' : ''} ORDER BY task_number DESC LIMIT ?`,
        [await findMember(connection, memberId), ...(before ? [before] : []), limit + 1],
      ),
    )
    return rows.map(rowOf)
  }

  /** Renews the lease of a task whose producer was last active `ageMs` ago. */
  async renew(taskId: string, ageMs = 0): Promise<void> {
    await this.#database.run((connection) =>
      connection.write(
        `UPDATE task SET status = IF(? = 0, 'running', status), lease_until = NOW(3) + INTERVAL ? MICROSECOND
         WHERE task_id = ? AND lease_until IS NOT NULL`,
        [ageMs, (this.#leaseMs - ageMs) * 1_000, taskId],
      ),
    )
  }

  /** Claims tasks whose lease has expired. Other instances skip them until the claim expires. */
  claimExpired(limit: number): Promise<TaskRow[]> {
    return this.#database.run(async (connection) => {
      const rows = await connection.rows<TaskColumns>(
        `SELECT ${itemColumns} FROM task WHERE lease_until < NOW(3) AND kind IS NOT NULL ORDER BY lease_until LIMIT ?`,
        [limit],
      )
      const claimed: TaskRow[] = []
      for (const row of rows) {
        // Without a transaction, so that an instance that vanishes leaves no locks.
        const { affectedRows } = await connection.write(
          'UPDATE task SET lease_until = NOW(3) + INTERVAL ? MICROSECOND WHERE task_number = ? AND lease_until < NOW(3)',
          [claimMs * 1_000, row.taskNumber],
        )
        if (affectedRows > 0) claimed.push(rowOf(row))
      }
      return claimed
    })
  }

  /** Returns undefined when the task is over already: only the first end is stored. */
  end(task: TaskIdentity, state: TaskState, end: TaskEnd): Promise<StoredEnd | undefined> {
    const { status, result, error, notify, trace } = end
    const deadline = performance.now() + endTimeoutMs
    return this.#database.transaction(async (connection) => {
      const { affectedRows } = await connection.write(
        `UPDATE task SET status = ?, percent = ?, stage = ?, text = ?, data = ?, result = ?, error = ?, lease_until = NULL, finished_at = NOW(3)
         WHERE task_id = ? AND lease_until IS NOT NULL`,
        [
          status,
          state.percent ?? null,
          state.stage ?? null,
          state.text,
          JSON.stringify(state.data),
          result === undefined ? null : JSON.stringify(result),
          error ?? null,
          task.taskId,
        ],
      )
      if (affectedRows === 0) return undefined
      const rows = await insertFinished(connection, task, end)
      const notified = notify && (await insertNotification(connection, task.memberId, notify, trace?.traceparent))
      if (performance.now() > deadline) throw new DatabaseAway()
      return { rows: notified ? [...rows, notified.row] : rows, notificationId: notified?.notificationId }
    })
  }

  /**
   * Stores a cancel that comes before its task, until `lease_until`. Returns the row with this id, which is the task's when it was created
   * meanwhile, or undefined when the member has too many of them.
   */
  async cancelEarly(taskId: string, memberId: MemberId): Promise<TaskRow | undefined> {
    try {
      const isStored = await this.#database.run(async (connection) => {
        const member = await storeMember(connection, memberId)
        const [row] = await connection.rows<{ early: number }>(
          `SELECT COUNT(*) AS early FROM (SELECT kind, lease_until FROM task FORCE INDEX (task_page) WHERE member_id = ?
           ORDER BY task_number DESC LIMIT ?) AS newest WHERE kind IS NULL AND lease_until > NOW(3)`,
          [member, countedRows],
        )
        if (row && row.early >= maxEarlyCancels) return false
        await connection.write(
          `INSERT INTO task (task_id, member_id, status, finished_at, lease_until)
           VALUES (?, ?, 'cancelled', NOW(3), NOW(3) + INTERVAL ? MINUTE)`,
          [taskId, member, earlyCancelMinutes],
        )
        return true
      })
      if (!isStored) return undefined
    } catch (error) {
      if (!isDuplicate(error)) throw error
    }
    return this.#findExisting(taskId)
  }

  async #createCancelled(task: TaskIdentity, trace: RequestTrace): Promise<StoredCreation> {
    const outboxRows = await this.#database.transaction(async (connection) => {
      const { affectedRows } = await connection.write(
        'UPDATE task SET kind = ?, title = ?, lease_until = NULL WHERE task_id = ? AND kind IS NULL',
        [task.kind, task.title ?? null, task.taskId],
      )
      return affectedRows === 0 ? [] : insertFinished(connection, task, { status: 'cancelled', trace })
    })
    return { row: await this.#findExisting(task.taskId), isNew: outboxRows.length > 0, outboxRows }
  }

  async #findExisting(taskId: string): Promise<TaskRow> {
    const row = await this.find(taskId)
    if (!row) throw new Error('the row of a task that existed a moment ago is missing')
    return row
  }
}

/** Inserts the end for the task's own channel, and its announcement to all devices of the member. */
async function insertFinished(
  connection: Connection,
  task: TaskIdentity,
  { status, result, error, trace }: TaskEnd,
): Promise<OutboxRow[]> {
  const traceparent = trace?.traceparent
  const finished: TaskEvent = {
    type: 'finished',
    status,
    ...(result !== undefined && { result }),
    ...(error !== undefined && { error }),
  }
  return [
    await insertOutboxRow(connection, taskChannel(task), tracedBody(traceparent, JSON.stringify(finished))),
    await insertAnnouncement(connection, task, { type: 'finished', status, traceparent }),
  ]
}

function insertAnnouncement(
  connection: Connection,
  { memberId, ...name }: TaskIdentity,
  { type, status, traceparent }: Pick<TaskAnnouncement, 'type' | 'status'> & { readonly traceparent: string | undefined },
): Promise<OutboxRow> {
  const announcement: TaskAnnouncement = { type, ...name, status }
  return insertOutboxRow(connection, memberChannel(memberId, 'task'), tracedBody(traceparent, JSON.stringify(announcement)))
}

async function insertNotification(
  connection: Connection,
  memberId: MemberId,
  { message, redirectPath, kind, escalation }: EndNotification,
  traceparent: string | undefined,
): Promise<{ readonly row: OutboxRow; readonly notificationId: number }> {
  const member = await storeMember(connection, memberId)
  const { insertId: notificationId } = await connection.write(
    'INSERT INTO notification (member_id, message, redirect_path, kind) VALUES (?, ?, ?, ?)',
    [member, message, redirectPath, kind ?? null],
  )
  if (escalation) {
    await connection.write(escalationInsert(escalationRows(escalation, String(notificationId), keyText(member))))
  }
  const body = tracedBody(traceparent, bodyOf(memberId, notificationId, bodyEndOf({ message, redirectPath, kind })))
  return { row: await insertOutboxRow(connection, channelOf(memberId), body, notificationId), notificationId }
}
