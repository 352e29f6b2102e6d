import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import protocol from '../PROTOCOL.md?raw'
import { historyLimits } from './channel.ts'
import { Close } from './close.ts'
import { defaultLimits } from './limit.ts'
import * as message from './message.ts'
import * as task from './task-message.ts'
import { clientCommands, type Frame, serverCommands } from './stomp/frame.ts'
import { FrameDecoder } from './stomp/frame-decoder.ts'

/** The rows of the first table of a section, cell by cell, without backticks. */
function table(heading: string): string[][] {
  const from = protocol.indexOf(`\n## ${heading}`)
  const lines = protocol.slice(from + 1).split('\n')
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

/** The examples fenced with this word, each with what follows the word. */
function examples(language: string): { title: string; text: string }[] {
  const fences = protocol.matchAll(new RegExp(`^\`\`\`${language} ?(.*)\n([^]*?)^\`\`\`$`, 'gm'))
  return Array.from(fences, ([, title = '', text = '']) => ({ title, text }))
}

function decoded(text: string): Frame[] {
  const frames: Frame[] = []
  const decoder = new FrameDecoder(defaultLimits, new Set<string>([...clientCommands, ...serverCommands]))
  decoder.version = '1.2'
  decoder.push(new TextEncoder().encode(text.replaceAll('^@', '\0')), (frame) => frames.push(frame))
  return frames
}

function variable(limit: string): string {
  return limit.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()
}

test('the close codes are those of the code', () => {
  const rows = table('7. Close codes').map(([code, name]) => [name, Number(code)])
  expect(Object.fromEntries(rows)).toEqual(Close)
  expect(rows).toHaveLength(Object.keys(Close).length)
})

test('the limits of the codec have the defaults of the code', () => {
  const defaults = new Map(table('8. Limits').map(([name, , value]) => [name, Number(value)]))
  for (const [limit, value] of Object.entries(defaultLimits)) expect(defaults.get(variable(limit)), limit).toBe(value)
})

test('the limits of tasks have the defaults of the code', () => {
  const defaults = new Map(table('8. Limits').map(([name, , value]) => [name, Number(value)]))
  const { maxTaskTextBytes, maxTaskDataBytes, maxTaskEvents } = task
  for (const [limit, value] of Object.entries({ maxTaskTextBytes, maxTaskDataBytes, maxTaskEvents }))
    expect(defaults.get(variable(limit)), limit).toBe(value)
})

test('every limit has a unit and a default', () => {
  for (const [name, unit, value] of table('8. Limits')) {
    expect(name).toMatch(/^[A-Z_]+$/)
    expect(unit).not.toBe('')
    expect(Number(value), name).toBeGreaterThan(0)
  }
})

test('the history is capped as in the code', () => {
  const caps = protocol.matchAll(/^\| `(\w+)` +\| (\d+) +\| (\d+) +\|$/gm)
  const rows = Array.from(caps, ([, kind, length, seconds]) => [kind, { length: Number(length), seconds: Number(seconds) }])
  expect(Object.fromEntries(rows)).toEqual(historyLimits)
})

describe('examples', () => {
  test.each(examples('stomp'))('$text is one frame', ({ text }) => {
    expect(decoded(text)).toHaveLength(1)
  })

  test('every command has its section', () => {
    const headings = protocol
      .split('\n')
      .filter((line) => line.startsWith('### '))
      .join(' ')
    for (const command of [...clientCommands, ...serverCommands]) expect(headings).toMatch(new RegExp(`\\b${command}\\b`))
  })

  test.each(examples('json'))('$text is a $title', ({ title, text }) => {
    const schema = ({ ...message, ...task } as unknown as Record<string, z.ZodType>)[title] as z.ZodType
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

test('every section that the contents name exists', () => {
  for (const [, title] of protocol.matchAll(/^\d+\. \[(.+)\]/gm))
    expect(protocol).toMatch(new RegExp(`^## \\d+\\. ${title}$`, 'm'))
})
