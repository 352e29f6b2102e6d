import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import protocol from '../PROTOCOL.md?raw'
import tasks from '../TASK.md?raw'
import { historyLimits } from './channel.ts'
import { Close } from './close.ts'
import { defaultLimits } from './limit.ts'
import * as message from './message.ts'
import * as push from './push.ts'
import * as task from './task-message.ts'
import { clientCommands, type Frame, serverCommands } from './stomp/frame.ts'
import { FrameDecoder } from './stomp/frame-decoder.ts'

const documents: Readonly<Record<string, string>> = { 'PROTOCOL.md': protocol, 'TASK.md': tasks }

/** Returns the rows of the first table after a heading, cell by cell, without backticks. */
function table(document: string, heading: string): string[][] {
  const from = document.indexOf(`\n## ${heading}\n`)
  expect(from, `## ${heading}`).toBeGreaterThan(0)
  const lines = document.slice(from + 1).split('\n')
  const start = lines.findIndex((line) => /^\|[- |]+$/.test(line))
  const rows = lines.slice(start + 1)
  const end = rows.findIndex((line) => !line.startsWith('|'))
  return rows.slice(0, end).map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('`', '')),
  )
}

/** Returns the examples of both documents that are fenced with `language`, each with the word that follows it. */
function examples(language: string): { title: string; text: string }[] {
  const fence = new RegExp(`^\`\`\`${language} ?(.*)\n([^]*?)^\`\`\`$`, 'gm')
  return Object.values(documents).flatMap((document) =>
    Array.from(document.matchAll(fence), ([, title = '', text = '']) => ({ title, text })),
  )
}

function headings(document: string): string[] {
  return Array.from(document.matchAll(/^#+ (.+)$/gm), ([, heading = '']) => heading)
}

/** Returns the anchors of the headings, as GitHub makes them. */
function anchors(document: string): string[] {
  return headings(document).map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^a-z0-9 _-]/g, '')
      .replaceAll(' ', '-'),
  )
}

function decoded(text: string): Frame[] {
  const frames: Frame[] = []
  const decoder = new FrameDecoder(defaultLimits, new Set<string>([...clientCommands, ...serverCommands]))
  decoder.version = '1.2'
  decoder.push(new TextEncoder().encode(text.replaceAll('^@', '\0')), (frame) => frames.push(frame))
  return frames
}

/** Returns the environment variable of a limit: `maxFrameBytes` is `MAX_FRAME_BYTES`. */
function variable(limit: string): string {
  return limit.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()
}

test('PROTOCOL.md lists the close codes of the code', () => {
  const rows = table(protocol, '7. Close codes').map(([code, name]) => [name, Number(code)])
  expect(Object.fromEntries(rows)).toEqual(Close)
  expect(rows).toHaveLength(Object.keys(Close).length)
})

test('PROTOCOL.md gives the default limits of the codec', () => {
  const defaults = new Map(table(protocol, '8. Limits').map(([name, , value]) => [name, Number(value)]))
  for (const [limit, value] of Object.entries(defaultLimits)) expect(defaults.get(variable(limit)), limit).toBe(value)
})

test('TASK.md gives the default limits of tasks', () => {
  const defaults = new Map(table(tasks, 'Limits').map(([name, , value]) => [name, Number(value)]))
  const { maxTaskTextBytes, maxTaskDataBytes, maxTaskEvents } = task
  for (const [limit, value] of Object.entries({ maxTaskTextBytes, maxTaskDataBytes, maxTaskEvents }))
    expect(defaults.get(variable(limit)), limit).toBe(value)
})

test('TASK.md gives the longest fields of tasks', () => {
  const longest = Object.fromEntries(
    Array.from(tasks.matchAll(/^\| `(\w+)` +\| 1 to (\d+) characters/gm), ([, field, length]) => [field, Number(length)]),
  )
  expect(longest).toEqual({
    kind: task.maxTaskKindLength,
    title: task.maxTaskTitleLength,
    stage: task.maxTaskStageLength,
    text: task.maxAppendLength,
    error: message.maxMessageLength,
  })
})

test('every limit has a unit and a default', () => {
  for (const [name, unit, value] of [...table(protocol, '8. Limits'), ...table(tasks, 'Limits')]) {
    expect(name).toMatch(/^[A-Z_]+$/)
    expect(unit).not.toBe('')
    expect(Number(value), name).toBeGreaterThan(0)
  }
})

test('the documents list the history caps of the code', () => {
  const caps = /^\| `(\w+)` +\| `[^|]+` +\| (\d+) +\| (\d+) +\|$/gm
  const rows = Object.values(documents).flatMap((document) =>
    Array.from(document.matchAll(caps), ([, kind, length, seconds]) => [
      kind,
      { length: Number(length), seconds: Number(seconds) },
    ]),
  )
  expect(Object.fromEntries(rows)).toEqual(historyLimits)
})

describe('examples', () => {
  test.each(examples('stomp'))('$text decodes to one frame', ({ text }) => {
    expect(decoded(text)).toHaveLength(1)
  })

  test('every command has a section', () => {
    const sections = headings(protocol).join(' ')
    for (const command of [...clientCommands, ...serverCommands]) expect(sections).toMatch(new RegExp(`\\b${command}\\b`))
  })

  test.each(examples('json'))('$text is a valid $title', ({ title, text }) => {
    const schema = ({ ...message, ...push, ...task } as unknown as Record<string, z.ZodType>)[title] as z.ZodType
    const body: unknown = JSON.parse(text)
    expect(schema.parse(body)).toEqual(body)
  })

  test('the body of the MESSAGE is a NotificationMessage', () => {
    const frame = examples('stomp')
      .flatMap(({ text }) => decoded(text))
      .find(({ command }) => command === 'MESSAGE')
    expect(message.NotificationMessage.parse(JSON.parse(new TextDecoder().decode(frame?.body)))).toMatchObject({ memberId: 1 })
  })
})

test.each(Object.entries(documents))('every link of %s leads to a heading', (name, document) => {
  const links = document.matchAll(/\]\((?!https:)([^)#]*)#?([^)]*)\)/g)
  for (const [link, file, anchor] of links) {
    const target = documents[file || name]
    expect(target, link).toBeDefined()
    if (anchor) expect(anchors(target as string), link).toContain(anchor)
  }
})

test.each(Object.entries(documents))('no two headings of %s have the same anchor', (_, document) => {
  expect(new Set(anchors(document)).size).toBe(headings(document).length)
})

test('the contents of PROTOCOL.md list its numbered sections in order', () => {
  const contents = Array.from(protocol.matchAll(/^(\d+\.) \[(.+)\]/gm), ([, number, title]) => `${number} ${title}`)
  expect(contents).toEqual(headings(protocol).filter((heading) => /^\d/.test(heading)))
})
