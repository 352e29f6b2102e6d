import { randomUUID } from 'node:crypto'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest'
import { newMember, openBrowser, openDevice, openPage } from './page-browser.test.fixture.ts'
import { type PageStack, startPageStack } from './page-stack.test.fixture.ts'

vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 })
const patient = { timeout: 40_000 }

let stack: PageStack
let browser: Browser
beforeAll(async () => {
  ;[stack, browser] = await Promise.all([startPageStack(inject('databaseServerUrl'), 'page_answer'), openBrowser()])
})
afterAll(async () => {
  await browser?.close()
  await stack?.stop()
})

const text = (page: Page) => page.getByRole('region', { name: 'Answer' }).textContent()
const state = (page: Page) => page.getByRole('article').getByRole('status').textContent()

test('an answer is picked up after a reload and on a second device: not a character lost or doubled', async () => {
  const memberId = newMember()
  const [desk, phone] = await Promise.all([
    openDevice(browser, { url: stack.url, memberId }),
    openDevice(browser, { url: stack.url, memberId }),
  ])
  const here = await openPage(desk)
  const taskId = randomUUID()
  const event = (body: object) => stack.post(`/task/${taskId}/event`, body)
  expect(await stack.post('/task', { taskId, memberId, kind: 'answer', title: '왜 늦어졌나요?' })).toBe(201)
  await here.getByRole('heading', { name: '왜 늦어졌나요?' }).waitFor()
  await event({ type: 'progress', percent: 20, stage: 'Searching' })
  await expect.poll(() => state(here), patient).toBe('Searching')
  await event({
    type: 'data',
    data: {
      sources: [
        { title: 'Minutes', url: '/minutes' },
        { title: 'No link', url: 'javascript:alert(1)' },
      ],
    },
  })

  const words = Array.from({ length: 60 }, (_, at) => `낱말${at} `)
  const write = async (some: readonly string[]) => {
    for (const word of some) expect(await event({ type: 'append', text: word })).toBe(202)
  }
  await write(words.slice(0, 20))
  await Promise.all([here.reload(), write(words.slice(20, 35))])
  const [there] = await Promise.all([openPage(phone), write(words.slice(35))])
  for (const page of [here, there]) await expect.poll(() => text(page), patient).toBe(words.join(''))
  expect(await there.getByRole('complementary', { name: 'Sources' }).getByRole('link').allTextContents()).toEqual(['Minutes'])

  expect(await stack.post(`/task/${taskId}/finish`, { status: 'succeeded' })).toBe(200)
  for (const page of [here, there]) await expect.poll(() => state(page), patient).toBe('Complete')
  await desk.close()
  await phone.close()
})

test('the stop button stops the work', async () => {
  const memberId = newMember()
  const context = await openDevice(browser, { url: stack.url, memberId })
  const page = await openPage(context)
  const taskId = randomUUID()
  await stack.post('/task', { taskId, memberId, kind: 'answer', title: 'Long' })
  await stack.post(`/task/${taskId}/event`, { type: 'append', text: 'half of' })
  await page.getByRole('button', { name: 'Stop' }).click()
  await expect.poll(() => state(page), patient).toBe('Stopped')
  await expect.poll(() => text(page), patient).toBe('half of')
  expect(await stack.post(`/task/${taskId}/event`, { type: 'append', text: ' it' })).toBe(409)
  await context.close()
})

test('a question on the page is answered before the eyes, with stages and sources, until it is stopped', async () => {
  const context = await openDevice(browser, { url: stack.url, memberId: newMember() })
  const page = await openPage(context)
  await page.getByLabel('Question').fill('Will it go on?')
  await page.getByRole('button', { name: 'Ask' }).click()
  await page.getByRole('heading', { name: 'Will it go on?' }).waitFor()
  await expect.poll(() => state(page), patient).toMatch(/^(Searching|Reading|Writing)/)
  await expect.poll(() => page.getByRole('complementary', { name: 'Sources' }).getByRole('link').count(), patient).toBe(3)
  await expect.poll(() => text(page), patient).toMatch(/^Every publication/)
  await page.getByRole('button', { name: 'Stop' }).click()
  await expect.poll(() => state(page), patient).toBe('Stopped')
  await context.close()
})
