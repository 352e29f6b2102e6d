import { randomUUID } from 'node:crypto'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest'
import { nextMemberId, openBrowser, openDevice, openPage } from './fixture/page-browser.ts'
import { type PageStack, startPageStack } from './fixture/page-stack.ts'

vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 })
const pollOptions = { timeout: 40_000 }

let stack: PageStack
let browser: Browser
beforeAll(async () => {
  ;[stack, browser] = await Promise.all([startPageStack(inject('databaseServerUrl'), 'page_answer'), openBrowser()])
})
afterAll(async () => {
  await browser?.close()
  await stack?.stop()
})

const shownText = (page: Page) => page.getByRole('region', { name: 'Answer' }).textContent()
const shownState = (page: Page) => page.getByRole('article').getByRole('status').textContent()

test('shows an answer without a lost or doubled character after a reload and on a second device', async () => {
  const memberId = nextMemberId()
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
  await expect.poll(() => shownState(here), pollOptions).toBe('Searching')
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
  for (const page of [here, there]) await expect.poll(() => shownText(page), pollOptions).toBe(words.join(''))
  expect(await there.getByRole('complementary', { name: 'Sources' }).getByRole('link').allTextContents()).toEqual(['Minutes'])

  expect(await stack.post(`/task/${taskId}/finish`, { status: 'succeeded' })).toBe(200)
  for (const page of [here, there]) await expect.poll(() => shownState(page), pollOptions).toBe('Complete')
  await desk.close()
  await phone.close()
})

test('cancels the task with the stop button', async () => {
  const memberId = nextMemberId()
  const context = await openDevice(browser, { url: stack.url, memberId })
  const page = await openPage(context)
  const taskId = randomUUID()
  await stack.post('/task', { taskId, memberId, kind: 'answer', title: 'Long' })
  await stack.post(`/task/${taskId}/event`, { type: 'append', text: 'half of' })
  await page.getByRole('button', { name: 'Stop' }).click()
  await expect.poll(() => shownState(page), pollOptions).toBe('Stopped')
  await expect.poll(() => shownText(page), pollOptions).toBe('half of')
  expect(await page.getByRole('progressbar').count()).toBe(0)
  expect(await stack.post(`/task/${taskId}/event`, { type: 'append', text: ' it' })).toBe(409)
  await context.close()
})

test('streams the answer to a question with stages and sources until it is stopped', async () => {
  const context = await openDevice(browser, { url: stack.url, memberId: nextMemberId() })
  const page = await openPage(context)
  await page.getByLabel('Question').fill('Will it go on?')
  await page.getByRole('button', { name: 'Ask' }).click()
  await page.getByRole('heading', { name: 'Will it go on?' }).waitFor()
  await expect.poll(() => shownState(page), pollOptions).toMatch(/^(Searching|Reading|Writing)/)
  await expect.poll(() => page.getByRole('complementary', { name: 'Sources' }).getByRole('link').count(), pollOptions).toBe(3)
  await expect.poll(() => shownText(page), pollOptions).toMatch(/^Every publication/)
  await page.getByRole('button', { name: 'Stop' }).click()
  await expect.poll(() => shownState(page), pollOptions).toBe('Stopped')
  await context.close()
})
