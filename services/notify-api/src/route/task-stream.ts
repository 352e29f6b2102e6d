import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { AcceptedTaskEvent } from '@tidings/protocol'
import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import { BodyReader } from '../task/body-reader.ts'
import { problemResponses, serviceSecurity } from '../http/document.ts'
import { Problem } from '../http/problem.ts'
import { spareRequestTimeout } from '../http/spare-request-timeout.ts'
import { LineDecoding, TextDecoding } from '../task/decoder.ts'
import { TaskIntake } from '../task/intake.ts'
import type { TaskStream } from '../task/streams.ts'
import type { Api, Guards } from './api.ts'
import { offsetQuery, TaskParams, type TaskDeps } from './task.ts'

export interface TaskStreamOptions {
  readonly rollUpMs: number
  readonly maxLineBytes: number
}

/** After the answer what a producer still sends is let pass for so long: closing at once could take the answer from it. */
const lingerMs = 5_000

/** Read as it comes, and not before it is asked for. */
const Upload = z.any().meta({ description: 'Text, or an event on each line, in UTF-8' })
const StreamQuery = z.strictObject({ offset: offsetQuery })

/** An upload as long as the work takes. To be registered, so that its content types are taken here alone. */
export function taskStreamRoute(
  app: Api,
  guards: Guards,
  { tasks }: TaskDeps,
  { rollUpMs, maxLineBytes }: TaskStreamOptions,
): void {
  const uploading = new WeakSet<Socket>()
  spareRequestTimeout(app.server, uploading)
  app.addHook('preClose', async () => tasks.streams.stopAll())

  app.removeAllContentTypeParsers()
  app.addContentTypeParser(/^(?:text\/plain|application\/x-ndjson)(?: *; *charset="?utf-8"?)? *$/i, (_request, body, done) =>
    done(null, body),
  )
  app.addContentTypeParser('*', (_request, _body, done) => done(unknownMediaType()))

  app.post(
    '/task/:id/stream',
    {
      onRequest: guards.backend('task:write'),
      schema: {
        summary: 'Text of a running task as it comes, chunked: text/plain, or application/x-ndjson with an event on each line',
        security: serviceSecurity('task:write'),
        params: TaskParams,
        querystring: StreamQuery,
        consumes: ['text/plain', 'application/x-ndjson'],
        body: Upload,
        response: {
          202: AcceptedTaskEvent,
          ...problemResponses(
            ...(['not-utf-8', 'missing-scope', 'not-found', 'stream-idle', 'task-over', 'text-offset', 'task-limit'] as const),
            'too-large',
            'unsupported-media-type',
          ),
        },
      },
    },
    async ({ raw, headers, params, query }, reply) => {
      if (!headers['content-type']) throw unknownMediaType()
      const body = new BodyReader(raw)
      letRestPass(raw, reply, body)
      const name = await tasks.writer.nameOf(params.id)
      const now = performance.now()
      const stream: TaskStream = { name, readAt: now, acceptedAt: now, stop: (reason) => body.stop(reason) }
      const intake = await TaskIntake.open(name, query.offset, {
        writer: tasks.writer,
        decoder: /^text/i.test(headers['content-type']) ? new TextDecoding() : new LineDecoding(maxLineBytes),
        rollUpMs,
        onAccepted: () => {
          stream.readAt = performance.now()
          stream.acceptedAt = stream.readAt
        },
      })
      uploading.add(raw.socket)
      const remove = tasks.streams.add(stream)
      try {
        return await reply.code(202).send(await intake.takeIn(body))
      } finally {
        remove()
        uploading.delete(raw.socket)
      }
    },
  )
}

/** An answer may come before the end of the upload. */
function letRestPass(raw: IncomingMessage, reply: FastifyReply, body: BodyReader): void {
  reply.raw.once('finish', () => {
    if (raw.complete) return
    body.discard()
    const timer = setTimeout(() => raw.socket.destroy(), lingerMs)
    raw.once('close', () => clearTimeout(timer))
  })
}

function unknownMediaType(): Problem {
  const detail = 'must be text/plain or application/x-ndjson, in UTF-8'
  return new Problem('unsupported-media-type', `content-type: ${detail}`, {
    errors: [{ in: 'header', pointer: '#/content-type', detail }],
  })
}
