import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type ClientStack,
  readInbox,
  startClientStack,
  waitForNotifications,
  waitForStatus,
  waitForUnread,
} from '@tidings/e2e/client'
import { findProgram, queryDatabase, type ServiceProcess, waitFor } from '@tidings/local'
import type { Page } from 'playwright-core'
import { afterEach, expect, test } from 'vitest'

const afterRestore = readFileSync(join(import.meta.dirname, '../../mysql/after-restore.sql'), 'utf8')
const deadlineMs = 20_000

let stack: ClientStack
let api: ServiceProcess
afterEach(async () => {
  await api?.kill()
  await stack?.close()
})

function connection(): string[] {
  const { hostname, port, username, password, pathname } = new URL(stack.databaseUrl)
  return [`--host=${hostname}`, `--port=${port}`, `--user=${username}`, `--password=${password}`, pathname.slice(1)]
}

/** Takes a backup of the database as OPERATIONS.md shows it. */
function backUp(): Buffer {
  return execFileSync(findProgram('mariadb-dump', 'mysqldump') ?? '', [
    '--single-transaction',
    '--skip-lock-tables',
    ...connection(),
  ])
}

/** Stops notify-api, restores the backup, runs a script, and starts notify-api. */
async function restore(backup: Buffer, script: string): Promise<void> {
  await api.stop()
  const sql = Buffer.concat([backup, Buffer.from(script)])
  execFileSync(findProgram('mariadb', 'mysql') ?? '', connection(), { input: sql })
  api = await api.again()
}

async function texts(page: Page): Promise<string[]> {
  return (await readInbox(page)).items.map(({ message }) => message)
}

function waitForTexts(page: Page, wanted: readonly string[]): Promise<boolean> {
  return waitFor(async () => (await texts(page)).join() === wanted.join(), { deadlineMs, what: `an inbox with ${wanted.join()}` })
}

test('clients of a MySQL that was restored to an earlier point receive what is new with the script, and drop it without', {
  timeout: 180_000,
}, async () => {
  stack = await startClientStack('restore')
  api = stack.api
  const page = await (await stack.openDevice(7)).openTab()
  await waitForStatus(page, 'connected')
  await stack.send(7, 'a')
  await stack.send(7, 'b')
  await waitForNotifications(page, ['a', 'b'])
  // Otherwise the backup has them to be published again.
  const published = async () => (await queryDatabase(stack.databaseUrl, 'SELECT 1 FROM outbox LIMIT 1')).length === 0
  await waitFor(published, { what: 'the outbox to be empty', deadlineMs })
  const backup = backUp()
  const lost = [await stack.send(7, 'c'), await stack.send(7, 'd')]
  await waitForNotifications(page, ['a', 'b', 'c', 'd'])
  await stack.post('/session/revoke', { memberId: 8 })
  expect(await markRead(page, lost[0])).toBe(true)
  await waitForUnread(page, 3)

  // Without the script an id is given again, and the device drops the notification that has it.
  await restore(backup, '')
  expect(await stack.send(7, 'dropped')).toBe(lost[0])

  await restore(backup, afterRestore)
  const next = await stack.send(7, 'e')
  expect(next).toBeGreaterThan(Date.now() * 50)
  expect(Number.isSafeInteger(next * 10)).toBe(true)
  await waitForNotifications(page, ['a', 'b', 'c', 'd', 'e'])
  // Redis has the lost ones, and the device shows them until it reads its inbox.
  expect(await texts(page)).toEqual(['e', 'd', 'c', 'b', 'a'])
  expect(await markRead(page, lost[1])).toBe(false)
  await waitForTexts(page, ['e', 'c', 'b', 'a'])
  // An empty Redis makes each device read its inbox, and what it shows already stays until the page is loaded again.
  await stack.redis.restart()
  await waitForUnread(page, 3)
  await page.reload()
  await waitForTexts(page, ['e', 'b', 'a'])

  // The same backup again: ids go on beyond those of the first restore.
  await restore(backup, afterRestore)
  await stack.redis.restart()
  expect(await stack.send(7, 'f')).toBeGreaterThan(next)
  await waitForNotifications(page, ['f'])
  await page.reload()
  await waitForTexts(page, ['f', 'b', 'a'])
  await waitForUnread(page, 3)
  expect(await queryDatabase(stack.databaseUrl, 'SELECT member_id FROM revocation')).toEqual([])
})

function markRead(page: Page, id: number | undefined): Promise<boolean> {
  return page.evaluate((notificationId) => window.tidings.inbox.markRead(notificationId), id ?? 0)
}
