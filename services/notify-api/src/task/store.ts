import { memberChannel, type TaskAnnouncement, type TaskEvent, type TaskState } from '@tidings/protocol'
import type { OutboxRow } from '../outbox/row.ts'
import type { Connection, Database } from '../database/database.ts'
import { DatabaseAway, isDuplicate } from '../database/error.ts'
import { insertOutboxRow } from '../outbox/store.ts'
import { isTerminal, itemColumns, nameOf, rowColumns, type TaskName, type TaskRow, type TerminalStatus } from './row.ts'
import { bodyEndOf, bodyOf, channelOf } from '../notification/published-body.ts'

export interface TaskEnd {
  readonly status: TerminalStatus
  readonly result?: unknown
  readonly error?: string | undefined
  /** A notification for the member's inbox. */
  readonly notify?: { readonly message: string; readonly redirectPath: string } | undefined
}

/** `isNew` is false when there was such a task already. */
export interface Created {
  readonly row: TaskRow
  readonly isNew: boolean
  readonly outboxRows: readonly OutboxRow[]
}

const maxRemembered = 10_000
/** An end is committed so soon after it began, or not at all: after that others may go on as if there were none. */
const endMs = 5_000
/** An instance that is at a task whose lease has ended keeps the others from it for so long. */
const claimMs = 5_000

/** The tasks and how they ended. Each end is written once, with all that tells of it. */
export class TaskStore {
  readonly #database: Database
  readonly #leaseMs: number
  /** Names of tasks, so that an event need not ask MySQL whose it is. */
  readonly #names = new Map<string, TaskName>()

  constructor(database: Database, leaseMs: number) {
    this.#database = database
    this.#leaseMs = leaseMs
  }

  /** A second task with the same id is the first one again, which may be another's. */
  async create(name: TaskName): Promise<Created> {
    try {
      const outboxRows = await this.#database.transaction(async (connection) => {
        await connection.write(
          `INSERT INTO task (task_id, member_id, kind, title, status, lease_until)
           VALUES (?, ?, ?, ?, 'queued', NOW(3) + INTERVAL ? MICROSECOND)`,
          [name.taskId, name.memberId, name.kind, name.title ?? null, this.#leaseMs * 1_000],
        )
        return [await announce(connection, name, 'started', 'queued')]
      })
      return { row: await this.#created(name.taskId), isNew: true, outboxRows }
    } catch (error) {
      if (!isDuplicate(error)) throw error
      const row = await this.#created(name.taskId)
      return row.kind === null && row.memberId === name.memberId
        ? this.#createCancelled(name)
        : { row, isNew: false, outboxRows: [] }
    }
  }

  async find(taskId: string): Promise<TaskRow | undefined> {
    const [row] = await this.#database.run((connection) =>
      connection.rows<TaskRow>(`SELECT ${rowColumns} FROM task WHERE task_id = ?`, [taskId]),
    )
    return row
  }

  /** Remembered for the tasks seen last. Undefined when there is none. */
  async name(taskId: string): Promise<TaskName | undefined> {
    const remembered = this.#names.get(taskId)
    if (remembered) return remembered
    const row = await this.find(taskId)
    if (!row || row.kind === null) return undefined
    const name = nameOf(row)
    this.#names.set(taskId, name)
    if (this.#names.size > maxRemembered) this.#names.delete(this.#names.keys().next().value as string)
    return name
  }

  /** Newest first; one more than `limit` when there are more. */
  page(memberId: number, limit: number, before: number | undefined): Promise<TaskRow[]> {
    return this.#database.run((connection) =>
      connection.rows<TaskRow>(
        `SELECT ${itemColumns} FROM task FORCE INDEX (task_page)
         WHERE member_id = ? AND kind IS NOT NULL${before ? ' AND task_number < ?' : ''} ORDER BY task_number DESC LIMIT ?`,
        [memberId, ...(before ? [before] : []), limit + 1],
      ),
    )
  }

  /** The producer was heard of `ageMs` ago. */
  async renew(taskId: string, ageMs = 0): Promise<void> {
    await this.#database.run((connection) =>
      connection.write(
        `UPDATE task SET status = IF(? = 0, 'running', status), lease_until = NOW(3) + INTERVAL ? MICROSECOND
         WHERE task_id = ? AND lease_until IS NOT NULL`,
        [ageMs, (this.#leaseMs - ageMs) * 1_000, taskId],
      ),
    )
  }

  /** Tasks whose lease has ended. Whoever gets them is alone with them for some seconds; after that they are for anybody again. */
  claimSilent(limit: number): Promise<TaskRow[]> {
    return this.#database.transaction(async (connection) => {
      const rows = await connection.rows<TaskRow>(
        `SELECT ${itemColumns} FROM task WHERE lease_until < NOW(3) ORDER BY lease_until LIMIT ? FOR UPDATE SKIP LOCKED`,
        [limit],
      )
      if (rows.length > 0) {
        await connection.write('UPDATE task SET lease_until = NOW(3) + INTERVAL ? MICROSECOND WHERE task_number IN (?)', [
          claimMs * 1_000,
          rows.map(({ taskNumber }) => taskNumber),
        ])
      }
      return rows
    })
  }

  /** Undefined when the task is over already: the first end holds. */
  end(name: TaskName, state: TaskState, end: TaskEnd): Promise<OutboxRow[] | undefined> {
    const { status, result, error, notify } = end
    const deadline = performance.now() + endMs
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
          name.taskId,
        ],
      )
      if (affectedRows === 0) return undefined
      const rows = await tellFinished(connection, name, end)
      if (notify) rows.push(await addNotification(connection, name.memberId, notify))
      if (performance.now() > deadline) throw new DatabaseAway()
      return rows
    })
  }

  /** A cancel that comes before its task. Answers what is there now, which is something else when the task was faster. */
  async cancelEarly(taskId: string, memberId: number): Promise<TaskRow> {
    try {
      await this.#database.run((connection) =>
        connection.write("INSERT INTO task (task_id, member_id, status, finished_at) VALUES (?, ?, 'cancelled', NOW(3))", [
          taskId,
          memberId,
        ]),
      )
    } catch (error) {
      if (!isDuplicate(error)) throw error
    }
    return this.#created(taskId)
  }

  async #createCancelled(name: TaskName): Promise<Created> {
    const outboxRows = await this.#database.transaction(async (connection) => {
      const { affectedRows } = await connection.write('UPDATE task SET kind = ?, title = ? WHERE task_id = ? AND kind IS NULL', [
        name.kind,
        name.title ?? null,
        name.taskId,
      ])
      return affectedRows === 0 ? [] : tellFinished(connection, name, { status: 'cancelled' })
    })
    return { row: await this.#created(name.taskId), isNew: outboxRows.length > 0, outboxRows }
  }

  async #created(taskId: string): Promise<TaskRow> {
    const row = await this.find(taskId)
    if (!row) throw new Error('a task that was just there is gone')
    return row
  }
}

/** On the task's own channel, and to all devices of the member. */
async function tellFinished(connection: Connection, name: TaskName, { status, result, error }: TaskEnd): Promise<OutboxRow[]> {
  const finished: TaskEvent = {
    type: 'finished',
    status,
    ...(result !== undefined && { result }),
    ...(error !== undefined && { error }),
  }
  return [
    await insertOutboxRow(connection, taskChannel(name), JSON.stringify(finished)),
    await announce(connection, name, 'finished', status),
  ]
}

function announce(
  connection: Connection,
  { memberId, ...name }: TaskName,
  type: TaskAnnouncement['type'],
  status: TaskAnnouncement['status'],
): Promise<OutboxRow> {
  const announcement: TaskAnnouncement = { type, ...name, status }
  return insertOutboxRow(connection, memberChannel(memberId, 'task'), JSON.stringify(announcement))
}

async function addNotification(
  connection: Connection,
  memberId: number,
  { message, redirectPath }: { readonly message: string; readonly redirectPath: string },
): Promise<OutboxRow> {
  const { insertId } = await connection.write('INSERT INTO notification (member_id, message, redirect_path) VALUES (?, ?, ?)', [
    memberId,
    message,
    redirectPath,
  ])
  const body = bodyOf(memberId, insertId, bodyEndOf(message, redirectPath, undefined))
  return insertOutboxRow(connection, channelOf(memberId), body)
}

export function taskChannel({ memberId, taskId }: Pick<TaskName, 'memberId' | 'taskId'>): string {
  return memberChannel(memberId, `task.${taskId}`)
}

/** Whether a row can have events: there is a task, and it is not over. */
export function isOpen({ kind, status }: TaskRow): boolean {
  return kind !== null && !isTerminal(status)
}
