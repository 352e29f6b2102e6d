import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { waitFor } from '@tidings/local'
import { cutGatewaysOff, long, openAnswer } from './answer.test.fixture.ts'
import { deadlineMs, status } from './client-fact.test.fixture.ts'
import { type ClientStack, type Device, openClientStack } from './client-stack.test.fixture.ts'

declare global {
  interface Window {
    /** Of the test, in its own process; see `Viewer`. */
    saw?: (length: number, wrong: string | undefined) => void
  }
}

const tokens = long ? 5_000 : 1_500
const memberId = 1

let stack: ClientStack
beforeAll(async () => {
  stack = await openClientStack('client_task_fault')
}, 120_000)
afterAll(() => stack?.close())

/** A device that follows a task, and tells of every text that is not the beginning of `truth`, or shorter than the one before. */
class Viewer {
  readonly page: Page
  /** Of the text the page showed last. */
  length = 0
  /** How often the page showed more text. */
  steps = 0
  readonly wrong: string[] = []
  readonly #taskId: string
  readonly #truth: string

  static async open(device: Device, taskId: string, truth: string): Promise<Viewer> {
    const viewer = new Viewer(await device.tab(), taskId, truth)
    await viewer.page.exposeFunction('saw', (length: number, wrong: string | undefined) => viewer.#saw(length, wrong))
    await viewer.follow()
    return viewer
  }

  private constructor(page: Page, taskId: string, truth: string) {
    this.page = page
    this.#taskId = taskId
    this.#truth = truth
  }

  async follow(): Promise<void> {
    await status(this.page, 'connected')
    await this.page.evaluate(
      ([taskId, truth]) => {
        const task = window.tidings.task(taskId)
        let seen = 0
        task.subscribe(() => {
          const { text } = task.getSnapshot()
          const right = truth.startsWith(text) && text.length >= seen
          window.saw?.(text.length, right ? undefined : `${seen} characters, then ${text.length}: …${text.slice(-80)}`)
          seen = text.length
        })
      },
      [this.#taskId, this.#truth] as const,
    )
  }

  async reload(): Promise<void> {
    this.length = 0
    await this.page.reload()
    await this.follow()
  }

  sees(part: number): Promise<boolean> {
    return waitFor(() => this.length >= this.#truth.length * part, { deadlineMs: 60_000, what: `${part * 100} % of the answer` })
  }

  state() {
    return this.page.evaluate((taskId) => window.tidings.task(taskId).getSnapshot(), this.#taskId)
  }

  #saw(length: number, wrong: string | undefined): void {
    this.length = length
    this.steps++
    if (wrong !== undefined) this.wrong.push(wrong)
  }
}

test('a streamed answer survives everything at once, and at no moment is a character lost or doubled', {
  timeout: 180_000,
}, async () => {
  const { taskId, text, state, job } = await openAnswer(memberId, { tokens })
  const here = await Viewer.open(await stack.device(memberId), taskId, text)
  const ended = job(stack.api.url)

  await here.sees(0.1)
  await here.reload()
  await here.sees(0.2)
  const gateway = await gatewayOf(memberId)
  await gateway.kill()
  const gatewayAgain = await gateway.again()
  onTestFinished(async () => void (await gatewayAgain.kill()))
  await here.sees(0.35)
  const there = await Viewer.open(await stack.device(memberId), taskId, text)
  await there.sees(0.5)
  expect(await cutGatewaysOff(stack.redis.url)).toBeGreaterThan(0)
  for (const viewer of [here, there]) await viewer.sees(0.6)
  await stack.api.kill('SIGTERM')
  const apiAgain = await stack.api.again()
  onTestFinished(async () => void (await apiAgain.kill()))
  await there.sees(0.75)
  await here.reload()
  for (const viewer of [here, there]) await viewer.sees(0.9)

  expect(await ended).toBe('succeeded')
  for (const viewer of [here, there]) {
    await waitFor(async () => (await viewer.state()).status === 'succeeded', { deadlineMs, what: 'the end' })
    const seen = await viewer.state()
    expect([seen.text === text, viewer.wrong]).toEqual([true, []])
    expect(seen).toMatchObject(state)
  }
  if (long) console.log({ characters: text.length, steps: [here.steps, there.steps] })
})

/** The one that has the member's session. */
async function gatewayOf(member: number) {
  for (const gateway of stack.gateways) if ((await stack.sessions(member, gateway)) > 0) return gateway
  throw new Error('no gateway has a session of this member')
}
