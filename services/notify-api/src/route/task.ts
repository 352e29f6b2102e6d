import { randomUUID } from 'node:crypto'
import {
  AcceptedTaskEvent,
  CreatedTask,
  CreateTask,
  EndedTask,
  FinishTask,
  NoBody,
  StoredTask,
  TaskId,
  TaskPage,
  TaskProducerEvent,
} from '@tidings/protocol'
import { z } from 'zod'
import { audit } from '../http/audit.ts'
import { callerOf, memberOf } from '../http/caller.ts'
import { memberSecurity, problemResponses, serviceSecurity } from '../http/document.ts'
import { traceOf } from '../http/trace.ts'
import type { EscalationPolicy } from '../reach/escalation.ts'
import type { Tasks } from '../task/tasks.ts'
import type { Api, Guards } from './api.ts'

export interface TaskDeps {
  readonly tasks: Tasks
  readonly escalations: EscalationPolicy
}

export const TaskParams = z.object({ id: TaskId })
export const offsetQuery = z.coerce
  .number()
  .int()
  .nonnegative()
  .optional()
  .meta({ description: 'Bytes of text that the task has already. Text is appended exactly there, or refused.' })
const EventQuery = z.strictObject({ offset: offsetQuery })
const PageQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  before: z.coerce.number().int().positive().optional().meta({ description: 'nextCursor of the page before' }),
})
const security = serviceSecurity('task:write')

/** Calls of backends about their long-running work. */
export function taskRoutes(app: Api, guards: Guards, { tasks, escalations }: TaskDeps): void {
  app.post(
    '/task',
    {
      onRequest: guards.backend('task:write'),
      schema: {
        operationId: 'createTask',
        summary: 'Create a task for a member; repeating the call with the same taskId is safe',
        security,
        body: CreateTask,
        response: {
          200: { description: 'The task existed already', content: { 'application/json': { schema: CreatedTask } } },
          201: CreatedTask,
          ...problemResponses('missing-scope', 'task-exists', 'too-large', 'unsupported-media-type'),
        },
      },
    },
    async (request, reply) => {
      const { taskId = randomUUID(), memberId, kind, title } = request.body
      const named = { taskId, memberId, kind, ...(title !== undefined && { title }) }
      const { task, isNew } = await tasks.creation.create(named, traceOf(request))
      audit(request, { taskId, memberId, taskStatus: task.status })
      return reply.code(isNew ? 201 : 200).send(task)
    },
  )

  app.post(
    '/task/:id/event',
    {
      onRequest: guards.backend('task:write'),
      schema: {
        operationId: 'appendTaskEvent',
        summary: 'Append progress, text or data to a running task; an empty progress only renews the lease',
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
      const at = { offset: request.query.offset, allowRepeat: true, traceparent: traceOf(request).traceparent }
      return reply.code(202).send(await tasks.writer.writeById(request.params.id, request.body, at))
    },
  )

  app.post(
    '/task/:id/finish',
    {
      onRequest: guards.backend('task:write'),
      schema: {
        operationId: 'finishTask',
        summary: 'End a task, store its result and publish the end; repeating the same call is safe',
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
      const { status, notify, ...end } = request.body
      const escalation = notify && escalations.plan(notify.escalate, notify.kind, '#/notify/escalate')
      await tasks.ending.end(taskId, { ...end, status, notify: notify && { ...notify, escalation }, trace: traceOf(request) })
      audit(request, { taskId, taskStatus: status })
      return { taskId, status }
    },
  )
}

/** Calls of members about their tasks. */
export function memberTaskRoutes(app: Api, guards: Guards, { tasks }: Pick<TaskDeps, 'tasks'>): void {
  app.get(
    '/task',
    {
      onRequest: guards.memberReads,
      schema: {
        operationId: 'listTasks',
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
        operationId: 'getTask',
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
        operationId: 'cancelTask',
        summary: 'Cancel a task, also before it is created',
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
      await tasks.ending.cancel(taskId, memberOf(request), traceOf(request))
      audit(request, { taskId, taskStatus: 'cancelled' })
      return { taskId, status: 'cancelled' as const }
    },
  )
}
