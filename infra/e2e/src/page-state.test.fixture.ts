import { randomUUID } from 'node:crypto'
import type { BrowserContext, Page, Route } from 'playwright-core'
import { live, newMember, openPage } from './page-browser.test.fixture.ts'
import type { PageStack } from './page-stack.test.fixture.ts'

export type Language = 'en' | 'ko'

interface Scene {
  readonly context: BrowserContext
  readonly stack: PageStack
  readonly language: Language
}

const letters: Readonly<Record<Language, readonly (readonly [message: string, redirectPath: string])[]>> = {
  en: [
    ['Build 2291 passed.', '/build/2291'],
    ['Your answer is complete.', '/answer/31'],
    ['Payment of ₩48,000 received.', '/payment/551'],
    ['Minji commented on “Q3 forecast”: could we split the second table by region?', '/document/q3#comment-8'],
    ['Export of 12,480 rows has finished. The file stays here for seven days.', '/export/12480'],
    ['Your report is ready.', '/report/2026'],
  ],
  ko: [
    ['빌드 2291 통과.', '/build/2291'],
    ['답변이 완성되었습니다.', '/answer/31'],
    ['48,000원 결제가 완료되었습니다.', '/payment/551'],
    ['민지 님이 “3분기 전망”에 댓글을 남겼습니다: 두 번째 표를 지역별로 나눌 수 있을까요?', '/document/q3#comment-8'],
    ['12,480행 내보내기가 끝났습니다. 파일은 7일 동안 보관됩니다.', '/export/12480'],
    ['요청하신 보고서가 준비되었습니다.', '/report/2026'],
  ],
}
const answers = {
  en: {
    title: 'What changed in the third quarter, and why?',
    stage: 'Writing the answer',
    text: 'Revenue grew 8.4 % over the second quarter, and most of the growth came from renewals. [1]\n\nTwo things changed. First, the yearly plan introduced in July was taken up sooner than expected: 31 % of renewals chose it. [2] Second, the first answer to a support request now takes 40 minutes instead of',
    sources: [
      { title: 'Third quarter at a glance', url: '/document/1' },
      { title: 'Yearly plan: the first ninety days', url: '/document/2' },
      { title: 'Support, report for September', url: '/document/3' },
    ],
  },
  ko: {
    title: '3분기에는 무엇이, 왜 달라졌나요?',
    stage: '답변을 작성하는 중',
    text: '3분기 매출은 2분기보다 8.4% 늘었고, 증가분의 대부분은 구독 갱신에서 나왔습니다. [1]\n\n두 가지가 달라졌습니다. 첫째, 7월에 도입한 연간 요금제가 예상보다 빠르게 자리를 잡아 갱신 고객의 31%가 선택했습니다. [2] 둘째, 지원 문의의 첫 응답까지 걸리는 시간이 40분으로',
    sources: [
      { title: '3분기 실적 한눈에 보기', url: '/document/1' },
      { title: '연간 요금제, 첫 90일', url: '/document/2' },
      { title: '지원팀 9월 보고서', url: '/document/3' },
    ],
  },
} as const
const agesMinutes = [0, 4, 37, 190, 1_500, 4_300]

/** Everything the page can look like: each leads a device to it. */
export const pageStates = {
  'sign-in': async ({ context }: Scene) => {
    const page = await context.newPage()
    await page.goto('/')
    await page.locator('.sign-in-form').waitFor()
    return page
  },
  home: signedIn,
  toast: async (scene: Scene) => {
    const { page, memberId } = await memberPage(scene)
    for (const [message, redirectPath] of letters[scene.language].slice(-2)) {
      await scene.stack.send({ memberId, message, redirectPath })
      await page.locator('.toast', { hasText: message }).waitFor()
    }
    return page
  },
  inbox: async (scene: Scene) => (await openInbox(scene)).page,
  held: async (scene: Scene) => {
    const { page, memberId } = await openInbox(scene)
    const [message, redirectPath] = letters[scene.language].at(-1) ?? ['', '/']
    await scene.stack.send({ memberId, message, redirectPath })
    await page.locator('.inbox-held button').waitFor()
    return page
  },
  empty: async (scene: Scene) => {
    const page = await signedIn(scene)
    await page.locator('.bell').click()
    await page.locator('.inbox-blank').waitFor()
    return page
  },
  loading: async (scene: Scene) => {
    await scene.context.route('**/notification?*', () => undefined)
    const page = await signedIn(scene)
    await page.locator('.bell').click()
    await page.locator('.inbox-loading').waitFor()
    return page
  },
  error: async (scene: Scene) => {
    await scene.context.route('**/notification?*', (route) => route.abort())
    const page = await signedIn(scene)
    await page.locator('.bell').click()
    await page.getByRole('alert').waitFor()
    return page
  },
  offline: async (scene: Scene) => {
    const page = await signedIn(scene)
    await page.getByRole('switch').click()
    await page.locator('.connection-pill[data-status=offline]').click()
    await page.locator('.connection-detail').waitFor()
    return page
  },
  account: async (scene: Scene) => {
    const page = await signedIn(scene)
    await page.locator('.account-button').click()
    return page
  },
  sent: async (scene: Scene) => {
    const page = await signedIn(scene)
    const send = page.locator('.send-card [type=submit]')
    const dismiss = page.locator('.toast .button').first()
    // Each toast as soon as it is there: a while later it has gone by itself.
    await send.click()
    await dismiss.click()
    await page.getByRole('radio').nth(1).check()
    await send.click()
    await dismiss.click()
    await page.locator('.sent-history li').nth(1).waitFor()
    await page.locator('.send-path input').fill('elsewhere')
    await send.click()
    await page.locator('[aria-invalid=true]').waitFor()
    const release = await holdProbes(page, 10)
    await page.locator('.burst .strong').click()
    await page.getByRole('switch').scrollIntoViewIfNeeded()
    await page.locator('.ledger-marks [data-arrived]').nth(5).waitFor()
    await page.getByRole('switch').click()
    await release()
    await page.locator('.ledger-marks :not([data-arrived])').nth(5).waitFor()
    return page
  },
  answer: async (scene: Scene) => {
    const { page, memberId } = await memberPage(scene)
    const taskId = randomUUID()
    const { title, stage, text, sources } = answers[scene.language]
    await scene.stack.post('/task', { taskId, memberId, kind: 'answer', title })
    for (const event of [
      { type: 'progress', percent: 62, stage },
      { type: 'data', data: { sources } },
      { type: 'append', text },
    ]) {
      await scene.stack.post(`/task/${taskId}/event`, event)
    }
    await page.locator('.answer-text', { hasText: text.slice(-20) }).waitFor()
    return page
  },
  opened: (scene: Scene) => signedIn(scene, '/report/2026'),
} satisfies Record<string, (scene: Scene) => Promise<Page>>

export type PageState = keyof typeof pageStates

async function memberPage({ context }: Scene, path = '/'): Promise<{ page: Page; memberId: number }> {
  const memberId = newMember()
  await context.request.post('/login', { data: { memberId } })
  return { page: await openPage(context, path), memberId }
}

async function signedIn(scene: Scene, path = '/'): Promise<Page> {
  return (await memberPage(scene, path)).page
}

/** Lets this many be sent and the others wait until told: however long that takes, they are on their way then. */
async function holdProbes(page: Page, count: number): Promise<() => Promise<void>> {
  const held: Route[] = []
  let sent = 0
  let released = false
  await page.route('**/demo/send', async (route) => {
    sent += 1
    if (sent > count && !released) held.push(route)
    else await route.continue()
  })
  return async () => {
    released = true
    for (const route of held) await route.continue()
  }
}

/** Some read, some unread, and of different ages. */
async function openInbox(scene: Scene): Promise<{ page: Page; memberId: number }> {
  const { context, stack, language } = scene
  const memberId = newMember()
  await context.request.post('/login', { data: { memberId } })
  for (const [message, redirectPath] of letters[language]) await stack.send({ memberId, message, redirectPath })
  await context.route('**/notification?*', async (route) => {
    const response = await route.fetch()
    const page = (await response.json()) as { items: { createdAt: string; readAt: string | null }[] }
    for (const [at, item] of page.items.entries()) {
      item.createdAt = new Date(Date.now() - (agesMinutes[at] ?? 0) * 60_000).toISOString()
      if (at > 2) item.readAt = item.createdAt
    }
    await route.fulfill({ response, json: page })
  })
  const page = await context.newPage()
  await page.goto('/')
  await live(page)
  await page.locator('.bell').click()
  await page.locator('.inbox-row').first().waitFor()
  return { page, memberId }
}
