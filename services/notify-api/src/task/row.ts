import {
  type MemberId,
  memberChannel,
  type StoredTask,
  type TaskItem,
  type TaskState,
  type TaskStatus,
  terminalStates,
} from '@tidings/protocol'
import { memberIdOf, type StoredMember, textIdColumn } from '../database/member-key.ts'

/** The fields of a task that never change. */
export interface TaskIdentity {
  readonly taskId: string
  readonly memberId: MemberId
  readonly kind: string
  readonly title?: string
}

/** A task as stored in MySQL, which has its text and data only once it is over. */
export interface TaskRow {
  readonly taskNumber: number
  readonly taskId: string
  readonly memberId: MemberId
  /** Null in the row of a cancel that came before its task was created. */
  readonly kind: string | null
  readonly title: string | null
  readonly status: TaskStatus
  readonly percent: number | null
  readonly stage: string | null
  readonly text: string | null
  /** JSON text. */
  readonly data: string | null
  /** JSON text. */
  readonly result: string | null
  readonly error: string | null
  readonly createdAt: Date
  readonly finishedAt: Date | null
}

/** A task as its columns are read. */
export type TaskColumns = Omit<TaskRow, 'memberId'> & StoredMember

export function rowOf({ textId, memberId, ...columns }: TaskColumns): TaskRow {
  return { ...columns, memberId: memberIdOf({ memberId, textId }) }
}

export type TerminalStatus = (typeof terminalStates)[number]

const shortColumns = `task_number AS taskNumber, task_id AS taskId, member_id AS memberId, ${textIdColumn}, kind, title, status, percent, stage,
  created_at AS createdAt, finished_at AS finishedAt`

/** Columns of a {@link TaskColumns} without the long ones, for queries that return many rows. */
export const itemColumns = `${shortColumns}, NULL AS text, NULL AS data, NULL AS result, NULL AS error`
export const rowColumns = `${shortColumns}, text, data, result, error`

export function taskChannel({ memberId, taskId }: TaskIdentity): string {
  return memberChannel(memberId, `task.${taskId}`)
}

export function isTerminal(status: string): status is TerminalStatus {
  return (terminalStates as readonly string[]).includes(status)
}

/** Returns whether a task accepts events: it was created, and is not over. */
export function isOpen({ kind, status }: TaskRow): boolean {
  return kind !== null && !isTerminal(status)
}

export function identityOf({ taskId, memberId, kind, title }: TaskRow): TaskIdentity {
  return { taskId, memberId, kind: kind ?? '', ...(title !== null && { title }) }
}

export function itemOf(row: TaskRow): TaskItem {
  const { percent, stage, status, createdAt, finishedAt } = row
  const { memberId: _, ...name } = identityOf(row)
  return {
    ...name,
    status,
    ...(percent !== null && { percent }),
    ...(stage !== null && { stage }),
    createdAt: createdAt.toISOString(),
    finishedAt: finishedAt?.toISOString() ?? null,
  }
}

/** Returns a task as `GET /task/{id}` sends it. `state`: the state that its events lead to, of a task that is not over. */
export function storedTaskOf(row: TaskRow, state?: TaskState): StoredTask {
  const { text = row.text ?? '' } = state ?? {}
  return {
    ...itemOf(row),
    memberId: row.memberId,
    text,
    data: row.data === null ? [] : (JSON.parse(row.data) as unknown[]),
    ...(row.result !== null && { result: JSON.parse(row.result) as unknown }),
    ...(row.error !== null && { error: row.error }),
    ...state,
    textBytes: Buffer.byteLength(text),
  }
}
