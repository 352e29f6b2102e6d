import { z } from 'zod'
import { isShallow, maxDataDepth, maxMessageLength, MemberId, RedirectPath, wholeText } from './message.ts'

/** The messages of long-running work (PROTOCOL.md §6). Text is counted in bytes of UTF-8, so that producers of any language agree. */

/** A task's name, made by its producer or by notify-api: a UUID in lower case. */
export const TaskId = z.uuid().lowercase()

export const taskStates = ['queued', 'running', 'succeeded', 'failed', 'cancelled', 'interrupted'] as const
export const TaskStatus = z.enum(taskStates)
export type TaskStatus = z.infer<typeof TaskStatus>

export const terminalStates = ['succeeded', 'failed', 'cancelled', 'interrupted'] as const
const TerminalStatus = z.enum(terminalStates)

export const maxTaskKindLength = 64
export const maxTaskTitleLength = 200
export const maxTaskStageLength = 200
/** Longest text of one append, in characters. */
export const maxAppendLength = 32_768
/** All text of a task: MAX_TASK_TEXT_BYTES by default. */
export const maxTaskTextBytes = 524_288
/** All data of a task, in bytes of JSON: MAX_TASK_DATA_BYTES by default. */
export const maxTaskDataBytes = 524_288
/** Publications on one task's channel, which its history holds whole: MAX_TASK_EVENTS by default. */
export const maxTaskEvents = 10_000

const Kind = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/)
  .max(maxTaskKindLength)
const Title = wholeText(maxTaskTitleLength)
const Percent = z.number().min(0).max(100)
const Stage = wholeText(maxTaskStageLength)
const Text = wholeText(maxAppendLength)
/** Any JSON. What comes here was parsed from JSON, so that only its depth is looked at. */
const Data = z
  .unknown()
  .refine((data): boolean => data !== undefined, 'is missing')
  .refine((data) => isShallow(data, maxDataDepth), `must not be nested deeper than ${maxDataDepth} levels`)
const TaskError = wholeText(maxMessageLength)

/** `POST /task`: a backend says that a member waits for something. */
export const CreateTask = z.strictObject({ taskId: TaskId.optional(), memberId: MemberId, kind: Kind, title: Title.optional() })
export type CreateTask = z.infer<typeof CreateTask>

/** `POST /task`: cancelled when the member's cancel came before. */
export const CreatedTask = z.object({
  taskId: TaskId,
  memberId: MemberId,
  kind: Kind,
  title: Title.optional(),
  status: TaskStatus,
  /** How long a producer may be silent. */
  leaseSeconds: z.number().positive(),
})
export type CreatedTask = z.infer<typeof CreatedTask>

const Progress = z.strictObject({ type: z.literal('progress'), percent: Percent.optional(), stage: Stage.optional() })
const Append = z.strictObject({ type: z.literal('append'), text: Text })
const TaskData = z.strictObject({ type: z.literal('data'), data: Data })

/** `POST /task/{id}/event`, and each line of an NDJSON stream. A `progress` without percent and stage only renews the lease. */
export const TaskProducerEvent = z.discriminatedUnion('type', [Progress, Append, TaskData])
export type TaskProducerEvent = z.infer<typeof TaskProducerEvent>

/** `POST /task/{id}/event` and the end of a stream. `textBytes`: the text so far, where the next append goes. */
export const AcceptedTaskEvent = z.object({ position: z.string(), textBytes: z.int().nonnegative() })
export type AcceptedTaskEvent = z.infer<typeof AcceptedTaskEvent>

/** `POST /task/{id}/finish`. `notify` also puts a notification in the member's inbox, in the same transaction. */
export const FinishTask = z.strictObject({
  status: z.enum(['succeeded', 'failed']),
  result: Data.optional(),
  error: TaskError.optional(),
  notify: z.strictObject({ message: wholeText(maxMessageLength), redirectPath: RedirectPath }).optional(),
})
export type FinishTask = z.infer<typeof FinishTask>

const TaskName = z.object({ taskId: TaskId, kind: Kind, title: Title.optional() })

/** What travels on `member:{id}:task.{taskId}`. The first is `created`, the last `finished`. */
export const TaskEvent = z.discriminatedUnion('type', [
  TaskName.extend({ type: z.literal('created') }),
  Progress,
  Append,
  TaskData,
  z.object({ type: z.literal('finished'), status: TerminalStatus, result: Data.optional(), error: TaskError.optional() }),
])
export type TaskEvent = z.infer<typeof TaskEvent>

/** A task as it stands: what `GET /task/{id}` answers, and the `snapshot` of somebody who joins late. */
export const TaskState = TaskName.extend({
  status: TaskStatus,
  percent: Percent.optional(),
  stage: Stage.optional(),
  /** All text appended so far. */
  text: z.string(),
  /** All data so far, in order. */
  data: z.array(Data),
  result: Data.optional(),
  error: TaskError.optional(),
})
export type TaskState = z.infer<typeof TaskState>

/** `POST /task/{id}/finish` and `/cancel`: how the task has ended. */
export const EndedTask = z.object({ taskId: TaskId, status: TerminalStatus })
export type EndedTask = z.infer<typeof EndedTask>

const times = { createdAt: z.iso.datetime(), finishedAt: z.iso.datetime().nullable() }

/** `GET /task/{id}`. */
export const StoredTask = TaskState.extend({ memberId: MemberId, textBytes: z.int().nonnegative(), ...times })
export type StoredTask = z.infer<typeof StoredTask>

/** One line of `GET /task`: without text, data and result. */
export const TaskItem = TaskName.extend({ status: TaskStatus, percent: Percent.optional(), stage: Stage.optional(), ...times })
export type TaskItem = z.infer<typeof TaskItem>

/** `GET /task`: newest first. `nextCursor`: the `before` of the next page; null on the last. */
export const TaskPage = z.object({ items: z.array(TaskItem), nextCursor: z.int().positive().nullable() })
export type TaskPage = z.infer<typeof TaskPage>

/** What a browser gets on `/member/queue/task.{taskId}`: one `snapshot` unless it resumes, then events. */
export const TaskMessage = z.discriminatedUnion('type', [TaskState.extend({ type: z.literal('snapshot') }), ...TaskEvent.options])
export type TaskMessage = z.infer<typeof TaskMessage>

/** What a member's devices get on `/member/queue/task`. */
export const TaskAnnouncement = TaskName.extend({ type: z.enum(['started', 'finished']), status: TaskStatus })
export type TaskAnnouncement = z.infer<typeof TaskAnnouncement>
