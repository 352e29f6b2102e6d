import { randomUUID } from 'node:crypto'
import {
  AcceptedTaskEvent,
  CreatedTask,
  CreateTask,
  EndedTask,
  FinishTask,
  StoredTask,
  TaskId,
  TaskPage,
  TaskProducerEvent,
} from '@tidings/protocol'
import { z } from 'zod'
import { callerOf, memberOf } from '../http/caller.ts'
import { memberSecurity, problemResponses, serviceSecurity } from '../http/document.ts'
import type { TaskName } from '../task/row.ts'
import type { Tasks } from '../task/tasks.ts'
import type { Api, Guards } from './api.ts'

export interface TaskDeps {
  readonly tasks: Tasks
}

export const TaskParams = z.object({ id: TaskId })
export const offsetQuery = z.coerce
  .number()
  .int()
  .nonnegative()
  .optional()
  .meta({ description: 'Bytes of text that are there already. Text goes on exactly there, or not at all.' })
const EventQuery = z.strictObject({ offset: offsetQuery })
const PageQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  before: z.coerce.number().int().positive().optional().meta({ description: 'nextCursor of the page before' }),
})
const NoBody = z.strictObject({}).nullish()
const security = serviceSecurity('task:write')

/** What backends say of their long-running work. */
export function taskRoutes(app: Api, guards: Guards, { tasks }: TaskDeps): void {
  app.post(
    '/task',
    {
      onRequest: guards.backend('task:write'),
      schema: {
        summary: 'A member waits for something; the same taskId again is the same task',
        security,
        body: CreateTask,
        response: {
          200: CreatedTask.meta({ description: 'It was there already' }),
          201: CreatedTask,
          ...problemResponses('missing-scope', 'task-exists', 'too-large', 'unsupported-media-type'),
        },
      },
    },
    async (request, reply) => {
      const { taskId = randomUUID(), memberId, kind, title } = request.body
      const name: TaskName = { taskId, memberId, kind, ...(title !== undefined && { title }) }
      const { status, isNew } = await tasks.create(name)
      return reply.code(isNew ? 201 : 200).send({ ...name, status, leaseSeconds: tasks.leaseSeconds })
    },
  )

  app.post(
    '/task/:id/event',
    {
      onRequest: guards.backend('task:write'),
      schema: {
        summary: 'Progress, text or data of a running task; an empty progress only says that the producer is alive',
        security,
        params: TaskParams,
        querystring: EventQuery,
        body: TaskProducerEvent,
        response: {
          202: AcceptedTaskEvent,
          ...problemResponses(
            ...(['missing-scope', 'not-found', 'task-over', 'text-offset', 'task-limit', 'unsupported-media-type'] as const),
          ),
        },
      },
    },
    async (request, reply) => {
      const name = await tasks.writer.nameOf(request.params.id)
      const place = { offset: request.query.offset, repeated: true }
      return reply.code(202).send(await tasks.writer.write(name, request.body, place))
    },
  )

  app.post(
    '/task/:id/finish',
    {
      onRequest: guards.backend('task:write'),
      schema: {
        summary: 'Store how a task ended, and tell; the same again is no other end',
        security,
        params: TaskParams,
        body: FinishTask,
        response: {
          200: EndedTask,
          ...problemResponses('missing-scope', 'not-found', 'task-over', 'too-large', 'unsupported-media-type'),
        },
      },
    },
    async (request) => {
      const { id: taskId } = request.params
      await tasks.ending.end(taskId, request.body)
      return { taskId, status: request.body.status }
    },
  )
}

/** What members see of tasks, and their only word to a producer. */
export function memberTaskRoutes(app: Api, guards: Guards, { tasks }: TaskDeps): void {
  app.get(
    '/task',
    {
      onRequest: guards.memberReads,
      schema: {
        summary: "The member's tasks, newest first",
        security: memberSecurity,
        querystring: PageQuery,
        response: { 200: TaskPage, ...problemResponses() },
      },
    },
    (request) => tasks.reader.page(memberOf(request), request.query.limit, request.query.before),
  )

  app.get(
    '/task/:id',
    {
      onRequest: guards.backendOrMemberReads('task:write'),
      schema: {
        summary: 'A task with its text so far, for its member and for backends',
        security: [...memberSecurity, ...security],
        params: TaskParams,
        response: { 200: StoredTask, ...problemResponses('missing-scope', 'not-found') },
      },
    },
    (request) => tasks.reader.read(request.params.id, callerOf(request).memberId),
  )

  app.post(
    '/task/:id/cancel',
    {
      onRequest: guards.memberWrites,
      schema: {
        summary: 'Ask the producer to stop, also before it has begun',
        security: memberSecurity,
        params: TaskParams,
        body: NoBody,
        response: {
          200: EndedTask,
          ...problemResponses('forbidden-origin', 'not-found', 'task-over', 'too-large', 'unsupported-media-type'),
        },
      },
    },
    async (request) => {
      const { id: taskId } = request.params
      await tasks.ending.cancel(taskId, memberOf(request))
      return { taskId, status: 'cancelled' as const }
    },
  )
}
