import { z } from 'zod'
import { MemberId } from './member-id.ts'
import { checkData, EscalateOrOff, maxMessageLength, NotificationKind, RedirectPath, wholeText } from './message.ts'

// Schemas of tasks (TASK.md). Text is counted in bytes of UTF-8, because producers in all languages can count those.

/** Id of a task, chosen by its producer or by notify-api: a UUID in lower case. */
export const TaskId = z
  .uuid({ error: ({ input }) => (input === undefined ? 'is required' : 'must be a UUID in lower case') })
  .refine((id) => id === id.toLowerCase(), 'must be a UUID in lower case')
  .meta({
    pattern:
      '^([0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}|00000000-0000-0000-0000-000000000000|ffffffff-ffff-ffff-ffff-ffffffffffff)$',
  })

/** Every status of a task, in the order of its life. */
export const taskStates = ['queued', 'running', 'succeeded', 'failed', 'cancelled', 'interrupted'] as const
/** Status of a task (TASK.md, Overview). */
export const TaskStatus = z.enum(taskStates)
export type TaskStatus = z.infer<typeof TaskStatus>

/** Every status of a task that has ended. */
export const terminalStates = ['succeeded', 'failed', 'cancelled', 'interrupted'] as const
const TerminalStatus = z.enum(terminalStates)

/** Longest `kind`, in characters. */
export const maxTaskKindLength = 64
/** Longest `title`, in UTF-16 code units. */
export const maxTaskTitleLength = 200
/** Longest `stage`, in UTF-16 code units. */
export const maxTaskStageLength = 200
/** Longest text of one append, in UTF-16 code units. */
export const maxAppendLength = 32_768
/** Default of MAX_TASK_TEXT_BYTES: largest text of a task, in bytes of UTF-8. */
export const maxTaskTextBytes = 524_288
/** Default of MAX_TASK_DATA_BYTES: all data of a task, in bytes of JSON. */
export const maxTaskDataBytes = 524_288
/** Default of MAX_TASK_EVENTS: publications on the channel of a task. Its history holds all of them. */
export const maxTaskEvents = 10_000

const Kind = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/)
  .max(maxTaskKindLength)
const Title = wholeText(maxTaskTitleLength)
const Percent = z.number().min(0).max(100)
const Stage = wholeText(maxTaskStageLength)
const Text = wholeText(maxAppendLength)
/** Any JSON value. */
const Data = z
  .unknown()
  .refine((data): boolean => data !== undefined, 'is missing')
  .superRefine(checkData)
const TaskError = wholeText(maxMessageLength)

/** Request of `POST /task`. */
export const CreateTask = z.strictObject({ taskId: TaskId.optional(), memberId: MemberId, kind: Kind, title: Title.optional() })
export type CreateTask = z.infer<typeof CreateTask>

/** Response of `POST /task`. `status` is `cancelled` if the member cancelled the task before it was created. */
export const CreatedTask = z.object({
  taskId: TaskId,
  memberId: MemberId,
  kind: Kind,
  title: Title.optional(),
  status: TaskStatus,
  /** Longest time for which the producer may be silent, in seconds. */
  leaseSeconds: z.number().positive(),
})
export type CreatedTask = z.infer<typeof CreatedTask>

/** A {@link TaskProducerEvent} that sets `percent`, `stage`, or both. */
export const TaskProgress = z.strictObject({
  type: z.literal('progress'),
  percent: Percent.optional(),
  stage: Stage.optional(),
})
/** A {@link TaskProducerEvent} that adds text. */
export const TaskAppend = z.strictObject({ type: z.literal('append'), text: Text })
/** A {@link TaskProducerEvent} that adds a JSON value. */
export const TaskData = z.strictObject({ type: z.literal('data'), data: Data })

/**
 * Request of `POST /task/{id}/event`, and each line of an NDJSON stream. A `progress` without `percent` and `stage` only renews
 * the lease.
 */
export const TaskProducerEvent = z.discriminatedUnion('type', [TaskProgress, TaskAppend, TaskData])
export type TaskProducerEvent = z.infer<typeof TaskProducerEvent>

/**
 * Response of `POST /task/{id}/event` and of `POST /task/{id}/stream`. `position` is that of the last publication of the task;
 * `textBytes` is the length of its text, which is the offset of the next append.
 */
export const AcceptedTaskEvent = z.object({ position: z.string(), textBytes: z.int().nonnegative() })
export type AcceptedTaskEvent = z.infer<typeof AcceptedTaskEvent>

/** The notification of a {@link FinishTask}. */
export const TaskNotification = z.strictObject({
  message: wholeText(maxMessageLength),
  redirectPath: RedirectPath,
  kind: NotificationKind.optional(),
  escalate: EscalateOrOff.optional(),
})

/** Request of `POST /task/{id}/finish`. `notify` also stores a notification for the member, in the same transaction. */
export const FinishTask = z.strictObject({
  status: z.enum(['succeeded', 'failed']),
  result: Data.optional(),
  error: TaskError.optional(),
  notify: TaskNotification.optional(),
})
export type FinishTask = z.infer<typeof FinishTask>

/** A {@link TaskEvent} that adds JSON values: those of one `data` event of the producer, or of several that came soon after each other. */
export const TaskDataAdded = z.object({ type: z.literal('data'), data: z.array(Data) })

const TaskName = z.object({ taskId: TaskId, kind: Kind, title: Title.optional() })

/** A publication on `member:{memberId}:task.{taskId}`. The first is `created`, the last is `finished`. */
export const TaskEvent = z.discriminatedUnion('type', [
  TaskName.extend({ type: z.literal('created') }),
  TaskProgress,
  TaskAppend,
  TaskDataAdded,
  z.object({ type: z.literal('finished'), status: TerminalStatus, result: Data.optional(), error: TaskError.optional() }),
])
export type TaskEvent = z.infer<typeof TaskEvent>
/** A {@link TaskEvent} that producers cause: any but the first and the last. */
export type TaskChange = Exclude<TaskEvent, { type: 'created' | 'finished' }>

/** Current state of a task, in the response of `GET /task/{id}` and in a `snapshot`. */
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

/** Response of `POST /task/{id}/finish` and `POST /task/{id}/cancel`. */
export const EndedTask = z.object({ taskId: TaskId, status: TerminalStatus })
export type EndedTask = z.infer<typeof EndedTask>

const times = { createdAt: z.iso.datetime(), finishedAt: z.iso.datetime().nullable() }

/** Response of `GET /task/{id}`. `finishedAt` is null until the task has ended. */
export const StoredTask = TaskState.extend({ memberId: MemberId, textBytes: z.int().nonnegative(), ...times })
export type StoredTask = z.infer<typeof StoredTask>

/** One task in the response of `GET /task`, without text, data and result. */
export const TaskItem = TaskName.extend({ status: TaskStatus, percent: Percent.optional(), stage: Stage.optional(), ...times })
export type TaskItem = z.infer<typeof TaskItem>

/** Response of `GET /task`, newest first. `nextCursor` is the `before` of the next page; null on the last page. */
export const TaskPage = z.object({ items: z.array(TaskItem), nextCursor: z.int().positive().nullable() })
export type TaskPage = z.infer<typeof TaskPage>

/** A message on `/member/queue/task.{taskId}`: a `snapshot`, unless the client resumes, then events. */
export const TaskMessage = z.discriminatedUnion('type', [TaskState.extend({ type: z.literal('snapshot') }), ...TaskEvent.options])
export type TaskMessage = z.infer<typeof TaskMessage>

/** A message on `/member/queue/task`: a task of the member has started or finished. */
export const TaskAnnouncement = TaskName.extend({ type: z.enum(['started', 'finished']), status: TaskStatus })
export type TaskAnnouncement = z.infer<typeof TaskAnnouncement>
