import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { AcceptedTaskEvent } from '@tidings/protocol'
import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import { audit } from '../http/audit.ts'
import { problemResponses, serviceSecurity } from '../http/document.ts'
import { Problem } from '../http/problem.ts'
import { traceOf } from '../http/trace.ts'
import { BodyReader } from '../task/body-reader.ts'
import { NdjsonDecoder, PlainTextDecoder } from '../task/upload-decoder.ts'
import type { Api, Guards } from './api.ts'
import { offsetQuery, type TaskDeps, TaskParams } from './task.ts'

export interface TaskStreamOptions {
  readonly maxLineBytes: number
  /** Sockets whose requests may take longer than the server's `requestTimeout`. The route adds those of its uploads. */
  readonly untimed: WeakSet<Socket>
}

/** How long the rest of an upload is discarded after the response. Closing the connection at once could lose the response. */
const lingerMs = 5_000

/** The body is not parsed: the handler reads it while it arrives. */
const Upload = z.any().meta({ type: 'string', description: 'Text, or one event per line, in UTF-8' })
const StreamQuery = z.strictObject({ offset: offsetQuery })

/**
 * An upload that takes as long as the work of its producer. Must be added in a Fastify plugin of its own: it replaces the content type
 * parsers.
 */
export function taskStreamRoute(
  app: Api,
  guards: Guards,
  { tasks }: TaskDeps,
  { maxLineBytes, untimed }: TaskStreamOptions,
): void {
  app.addHook('preClose', async () => tasks.uploads.stopAll())

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
        operationId: 'streamTask',
        summary:
          'Append text to a running task while it is produced, chunked: text/plain, or application/x-ndjson with one event per line',
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
    async (request, reply) => {
      const { raw, headers, params, query } = request
      if (!headers['content-type']) throw unknownMediaType()
      const body = new BodyReader(raw)
      discardAfterResponse(raw, reply, body)
      const decoder = /^text/i.test(headers['content-type']) ? new PlainTextDecoder() : new NdjsonDecoder(maxLineBytes)
      untimed.add(raw.socket)
      const { traceparent } = traceOf(request)
      const onEnd = (textBytes: number) => audit(request, { taskId: params.id, textBytes })
      try {
        const upload = { body, decoder, offset: query.offset, traceparent, onEnd }
        return await reply.code(202).send(await tasks.uploads.receive(params.id, upload))
      } finally {
        untimed.delete(raw.socket)
      }
    },
  )
}

/** Discards what the producer still sends when the response comes before the end of the upload. */
function discardAfterResponse(raw: IncomingMessage, reply: FastifyReply, body: BodyReader): void {
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
