import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text as textOf } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { serviceToken, waitFor } from '@tidings/local'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type NotifyApi, openStack, type Stack } from './fixture/notify-api.ts'
import { createTask, folded, listenToTask, newTaskId, readTask, upload } from './fixture/task.ts'

let stack: Stack
let api: NotifyApi
let other: NotifyApi
/** An instance that takes little data. */
let small: NotifyApi

beforeAll(async () => {
  stack = await openStack('task_stream')
  ;[api, other, small] = await Promise.all([
    stack.start({ MAX_TASK_TEXT_BYTES: '300000' }),
    stack.start(),
    stack.start({ MAX_TASK_DATA_BYTES: '1024' }),
  ])
})
afterAll(() => stack.close())

const read = (taskId: string) => readTask(api, taskId)
const textIs = (taskId: string, text: string) =>
  waitFor(async () => (await read(taskId))['text'] === text, { what: `the text ${text.slice(0, 20)}` })
const cancelled = { status: 409, body: { type: 'https://tidings.dev/problem/task-over', taskStatus: 'cancelled' } }

describe('text', () => {
  test('sent byte by byte arrives unchanged, rolled up into few publications', async () => {
    const text = '서울의 밤 🌃 and “quotes” — é'.repeat(20)
    const bytes = Buffer.from(text)
    const taskId = newTaskId()
    const channel = await listenToTask(stack, 1, taskId)
    await createTask(api, 1, { taskId })
    const begin = performance.now()
    const { request, answer } = upload(api, taskId, { contentType: 'text/plain; charset=utf-8' })
    for (const byte of bytes) {
      request.write(Buffer.of(byte))
      if (byte % 16 === 0) await delay(1)
    }
    request.end()
    expect(await answer).toMatchObject({ status: 202, body: { textBytes: bytes.length, position: expect.any(String) } })
    const tookMs = performance.now() - begin
    // The response may arrive before the publications.
    await waitFor(() => folded(channel)?.text === text, { what: 'the text' })
    // One append per 40 ms, plus the first and the last one, `created`, and the progress that marks the task as running.
    expect(channel.publications.length).toBeLessThanOrEqual(tookMs / 40 + 4)
    expect((await read(taskId))['textBytes']).toBe(bytes.length)
  })

  test('continues at its end after a broken upload, and a stale upload can no longer append', async () => {
    const taskId = await createTask(api, 1)
    const first = upload(api, taskId)
    first.request.write('one ')
    await textIs(taskId, 'one ')
    first.request.write(Buffer.from('half a character: 가').subarray(0, -1))
    await textIs(taskId, 'one half a character: ')
    first.request.destroy()
    const second = upload(other, taskId, { offset: 22 })
    second.request.write('가')
    await textIs(taskId, 'one half a character: 가')
    const stale = upload(api, taskId, { offset: 4 })
    expect(await stale.answer).toMatchObject({ status: 409, body: { textBytes: 25 } })
    const third = upload(api, taskId, { offset: 25 })
    third.request.end(' and the rest')
    expect(await third.answer).toMatchObject({ status: 202 })
    second.request.write('too late')
    expect(await second.answer).toMatchObject({ status: 409, body: { type: 'https://tidings.dev/problem/text-offset' } })
    await textIs(taskId, 'one half a character: 가 and the rest')
  })

  test('that is not UTF-8 is refused, and the text before it is kept', async () => {
    const taskId = await createTask(api, 1)
    const { request, answer } = upload(api, taskId)
    request.write('good ')
    await textIs(taskId, 'good ')
    request.end(Buffer.of(0xea, 0xb0, 0x41))
    expect(await answer).toMatchObject({ status: 400, body: { type: 'https://tidings.dev/problem/not-utf-8' } })
    const half = upload(api, taskId)
    half.request.end(Buffer.of(0xea, 0xb0))
    expect(await half.answer).toMatchObject({ status: 400, body: { type: 'https://tidings.dev/problem/not-utf-8' } })
    await textIs(taskId, 'good ')
  })

  test('of 10 MB is refused at the limit, and the refusal names it', async () => {
    const taskId = await createTask(api, 1)
    const { request, answer } = upload(api, taskId)
    request.on('error', () => {})
    const megabyte = '가나다라마바사아자차'.repeat(35_000)
    for (let sent = 0; sent < 10; sent++) request.write(megabyte)
    request.end()
    expect(await answer).toMatchObject({ status: 413, body: { limit: 'MAX_TASK_TEXT_BYTES', textBytes: expect.any(Number) } })
    const { text, textBytes } = (await read(taskId)) as { text: string; textBytes: number }
    expect(textBytes).toBeLessThanOrEqual(300_000)
    expect(textBytes).toBeGreaterThan(200_000)
    expect(megabyte.startsWith(text)).toBe(true)
  })

  test('is accepted as fast as Redis takes it: a subscriber that does not read has no effect', async () => {
    const taskId = newTaskId()
    const stuck = await stack.listen(`member:1:task.${taskId}`)
    await createTask(api, 1, { taskId })
    const { request, answer } = upload(api, taskId)
    request.end('x'.repeat(200_000))
    expect(await answer).toMatchObject({ status: 202, body: { textBytes: 200_000 } })
    stuck.close()
  })
})

describe('NDJSON', () => {
  const ndjson = { contentType: 'application/x-ndjson' }

  test('appends its events in order, with text rolled up between the others', async () => {
    const taskId = newTaskId()
    const channel = await listenToTask(stack, 1, taskId)
    await createTask(api, 1, { taskId })
    const { request, answer } = upload(api, taskId, ndjson)
    const events = [
      { type: 'progress', stage: '검색', percent: 5 },
      { type: 'append', text: 'a' },
      { type: 'append', text: '나\n' },
      { type: 'data', data: { sources: ['s'] } },
      { type: 'append', text: 'c' },
    ]
    const bytes = Buffer.from(`${events.map((event) => JSON.stringify(event)).join('\n')}\r\n\n`)
    for (let at = 0; at < bytes.length; at += 7) request.write(bytes.subarray(at, at + 7))
    request.end()
    expect(await answer).toMatchObject({ status: 202, body: { textBytes: 6 } })
    await waitFor(() => folded(channel)?.text === 'a나\nc', { what: 'the last event' })
    expect(folded(channel)).toMatchObject({ text: 'a나\nc', stage: '검색', percent: 5, data: [{ sources: ['s'] }] })
  })

  test('rolls up data, in its order among text and progress', async () => {
    const taskId = newTaskId()
    const channel = await listenToTask(stack, 1, taskId)
    await createTask(api, 1, { taskId })
    const { request, answer } = upload(api, taskId, ndjson)
    const values = Array.from({ length: 500 }, (_, index) => (index % 2 === 0 ? index : [index]))
    const append = { type: 'append', text: '가' }
    const events = [append, ...values.map((data) => ({ type: 'data', data })), { type: 'progress', percent: 1 }, append]
    request.end(`${[...events, { type: 'progress', percent: 2 }].map((event) => JSON.stringify(event)).join('\n')}\n`)
    expect(await answer).toMatchObject({ status: 202, body: { textBytes: 6 } })
    await waitFor(() => folded(channel)?.percent === 2, { what: 'the last event' })
    expect(folded(channel)?.data).toEqual(values)
    const types = channel.publications.map(({ body }) => body['type'] as string)
    // Without the progress that marks the task as running.
    const changes = types.filter((type, at) => type !== types[at - 1]).slice(2)
    expect(changes).toEqual(['append', 'data', 'progress', 'append', 'progress'])
    expect(types.filter((type) => type === 'data').length).toBeLessThan(50)
    expect((await read(taskId))['data']).toEqual(values)
  })

  test('beyond MAX_TASK_DATA_BYTES keeps the data before the limit, although it came together', async () => {
    const taskId = await createTask(small, 1)
    const { request, answer } = upload(small, taskId, ndjson)
    request.end(`${JSON.stringify({ type: 'data', data: 'x'.repeat(300) })}\n`.repeat(9))
    expect(await answer).toMatchObject({ status: 413, body: { limit: 'MAX_TASK_DATA_BYTES' } })
    expect((await read(taskId))['data']).toHaveLength(3)
  })

  test.each([
    ['not JSON', '{"type":"append","text":"a"}\n{oops\n', { status: 400, body: { detail: 'Line 2 is not JSON.' } }],
    ['not an event', '{"type":"append"}\n', { status: 400, body: { errors: [{ in: 'body', pointer: '#/text' }] } }],
    ['too long', `{"type":"data","data":"${'x'.repeat(70_000)}"}\n`, { status: 413, body: { type: /too-large/ } }],
  ])('with a line that is %s is refused', async (_case, lines, refusal) => {
    const { request, answer } = upload(api, await createTask(api, 1), ndjson)
    request.on('error', () => {})
    request.end(lines)
    const { status, body } = await answer
    const { type: _, ...rest } = refusal.body as Record<string, unknown>
    expect([status, body]).toMatchObject([refusal.status, rest])
  })
})

test.each([
  ['text/plain', Buffer.from('hello \xff more', 'latin1'), 'hello ', 'not-utf-8'],
  [
    'application/x-ndjson',
    Buffer.from('{"type":"append","text":"one"}\n{"type":"append","text":"two"}\nnot json\n'),
    'onetwo',
    'malformed',
  ],
])('%s in one write: what came before the fault is appended', async (contentType, bytes, text, problem) => {
  const taskId = await createTask(api, 1)
  const { request, answer } = upload(api, taskId, { contentType })
  request.end(bytes)
  expect(await answer).toMatchObject({ status: 400, body: { type: `https://tidings.dev/problem/${problem}` } })
  expect(await read(taskId)).toMatchObject({ text })
})

describe('a cancel', () => {
  test.each(['this', 'another'])('through %s instance ends the upload of a silent producer', async (where) => {
    const taskId = await createTask(api, 1)
    const { request, answer } = upload(api, taskId)
    request.write('thinking')
    await textIs(taskId, 'thinking')
    expect((await (where === 'this' ? api : other).member(1).post(`/task/${taskId}/cancel`)).status).toBe(200)
    expect(await answer).toMatchObject(cancelled)
    request.destroy()
  })

  test('gives fetch its response while fetch is still sending', async () => {
    const taskId = await createTask(api, 1)
    let open = true
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        await delay(5)
        if (open) controller.enqueue(Buffer.from('token '))
      },
      cancel() {
        open = false
      },
    })
    const sending = fetch(`${api.url}/task/${taskId}/stream`, {
      method: 'POST',
      headers: { authorization: `Bearer ${serviceToken()}`, 'content-type': 'text/plain' },
      body,
      duplex: 'half',
    })
    await waitFor(async () => Number((await read(taskId))['textBytes']) > 100, { what: 'some text' })
    await other.member(1).post(`/task/${taskId}/cancel`)
    const response = await sending
    expect({ status: response.status, body: await response.json() }).toMatchObject(cancelled)
    open = false
  })

  test('gives node:http its response while the request is still being sent', async () => {
    const taskId = await createTask(api, 1)
    const { request, answer } = upload(api, taskId)
    request.on('error', () => {})
    const sending = setInterval(() => request.write('token '), 5)
    await waitFor(async () => Number((await read(taskId))['textBytes']) > 100, { what: 'some text' })
    await other.member(1).post(`/task/${taskId}/cancel`)
    expect(await answer).toMatchObject(cancelled)
    clearInterval(sending)
    request.destroy()
  })

  test('gives curl its response while curl is still sending', async () => {
    const taskId = await createTask(api, 1)
    const headers = [`authorization: Bearer ${serviceToken()}`, 'content-type: text/plain'].flatMap((header) => ['-H', header])
    const curl = spawn('curl', ['-sS', '-T', '-', '-X', 'POST', ...headers, `${api.url}/task/${taskId}/stream`])
    curl.stdin.on('error', () => {})
    const sending = setInterval(() => curl.stdin.write('token '), 5)
    const output = textOf(curl.stdout)
    await waitFor(async () => Number((await read(taskId))['textBytes']) > 100, { what: 'some text' })
    // Listen before the cancel: curl may exit before the response to it arrives.
    const exited = once(curl, 'exit')
    await other.member(1).post(`/task/${taskId}/cancel`)
    await exited
    clearInterval(sending)
    expect(JSON.parse(await output)).toMatchObject(cancelled.body)
  })

  test('refuses an upload that begins after it', async () => {
    const taskId = await createTask(api, 1)
    await api.member(1).post(`/task/${taskId}/cancel`)
    const { answer } = upload(api, taskId)
    expect(await answer).toMatchObject(cancelled)
  })
})

test.each(['application/json', 'text/plain; charset=euc-kr', 'text/html'])('content type %s is refused', async (contentType) => {
  const { request, answer } = upload(api, await createTask(api, 1), { contentType })
  request.end('{}')
  expect(await answer).toMatchObject({ status: 415, body: { errors: [{ pointer: '#/content-type' }] } })
})

test('a stopping instance appends all received text and ends the upload with 503, to be continued elsewhere', async () => {
  const stopping = await stack.start()
  const taskId = await createTask(stopping, 1)
  const { request, answer } = upload(stopping, taskId)
  request.write('before')
  await textIs(taskId, 'before')
  request.write(' and after')
  await textIs(taskId, 'before and after')
  const stopped = stopping.stop()
  expect(await answer).toMatchObject({ status: 503 })
  request.destroy()
  expect(await stopped).toEqual({ code: 0, signal: null })
  const next = upload(api, taskId, { offset: 16 })
  next.request.end('!')
  expect((await next.answer).status).toBe(202)
  await textIs(taskId, 'before and after!')
})

test('silent uploads cost Redis no command each: one read for all of an instance finds a cancel', async () => {
  const redis = new Redis(stack.redis.url)
  const calls = async () => {
    const stats = await redis.info('commandstats')
    return new Map(Array.from(stats.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm), ([, name = '', count]) => [name, Number(count)]))
  }
  const uploads = await Promise.all(
    Array.from({ length: 50 }, async () => {
      const taskId = await createTask(api, 1)
      const { request, answer } = upload(api, taskId)
      request.on('error', () => {})
      request.write('thinking')
      return { taskId, request, answer }
    }),
  )
  await Promise.all(uploads.map(({ taskId }) => textIs(taskId, 'thinking')))
  const before = await calls()
  const grown = async () => {
    const after = await calls()
    const more = (name: string) => (after.get(name) ?? 0) - (before.get(name) ?? 0)
    const total = [...after.keys()].filter((name) => name !== 'info').reduce((sum, name) => sum + more(name), 0)
    return { reads: more('xread'), total }
  }
  await waitFor(async () => (await grown()).reads >= 40, { what: '40 reads' })
  // Besides the reads, each upload renews its lease now and then, by a script of some commands.
  const { reads, total } = await grown()
  expect(total).toBeLessThan(reads * 10)
  await other.member(1).post(`/task/${uploads[7]?.taskId}/cancel`)
  expect(await uploads[7]?.answer).toMatchObject(cancelled)
  for (const { request } of uploads) request.destroy()
  redis.disconnect()
})
