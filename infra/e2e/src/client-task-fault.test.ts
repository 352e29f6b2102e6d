import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { waitFor } from '@tidings/local'
import { killGatewayRedisConnections, longRun, startStreamedAnswer } from './fixture/streamed-answer.ts'
import { deadlineMs, waitForStatus } from './fixture/client-state.ts'
import { type ClientStack, type Device, startClientStack } from './fixture/client-stack.ts'

declare global {
  interface Window {
    /** Reports the text of a snapshot to the test, in the process of the test; see `Viewer`. */
    reportText?: (length: number, mistake: string | undefined) => void
  }
}

const tokens = longRun ? 5_000 : 1_500
const memberId = 1

let stack: ClientStack
beforeAll(async () => {
  stack = await startClientStack('client_task_fault')
}, 120_000)
afterAll(() => stack?.close())

/** Follows a task on a device, and records every text that is no prefix of `expectedText` or is shorter than the one before. */
class Viewer {
  readonly page: Page
  /** Length of the last text. */
  length = 0
  /** Number of snapshots. */
  updates = 0
  readonly mistakes: string[] = []
  readonly #taskId: string
  readonly #expectedText: string

  static async open(device: Device, taskId: string, expectedText: string): Promise<Viewer> {
    const viewer = new Viewer(await device.openTab(), taskId, expectedText)
    await viewer.page.exposeFunction('reportText', (length: number, mistake: string | undefined) =>
      viewer.#onText(length, mistake),
    )
    await viewer.follow()
    return viewer
  }

  private constructor(page: Page, taskId: string, expectedText: string) {
    this.page = page
    this.#taskId = taskId
    this.#expectedText = expectedText
  }

  async follow(): Promise<void> {
    await waitForStatus(this.page, 'connected')
    await this.page.evaluate(
      ([taskId, expectedText]) => {
        const task = window.tidings.task(taskId)
        let seen = 0
        task.subscribe(() => {
          const { text } = task.getSnapshot()
          const correct = expectedText.startsWith(text) && text.length >= seen
          window.reportText?.(text.length, correct ? undefined : `${seen} characters, then ${text.length}: …${text.slice(-80)}`)
          seen = text.length
        })
      },
      [this.#taskId, this.#expectedText] as const,
    )
  }

  async reload(): Promise<void> {
    this.length = 0
    await this.page.reload()
    await this.follow()
  }

  /** Resolves when the page has this part, from 0 to 1, of the text. */
  waitForPart(part: number): Promise<boolean> {
    return waitFor(() => this.length >= this.#expectedText.length * part, {
      deadlineMs: 60_000,
      what: `${part * 100} % of the answer`,
    })
  }

  state() {
    return this.page.evaluate((taskId) => window.tidings.task(taskId).getSnapshot(), this.#taskId)
  }

  #onText(length: number, mistake: string | undefined): void {
    this.length = length
    this.updates++
    if (mistake !== undefined) this.mistakes.push(mistake)
  }
}

test('shows a streamed answer without a lost or doubled character across reloads, killed gateways, lost Redis connections and restarts', {
  timeout: 180_000,
}, async () => {
  const { taskId, text, state, job } = await startStreamedAnswer(memberId, { tokens })
  const first = await Viewer.open(await stack.openDevice(memberId), taskId, text)
  const ended = job(stack.api.url)

  await first.waitForPart(0.1)
  await first.reload()
  await first.waitForPart(0.2)
  const gateway = await gatewayOf(memberId)
  await gateway.kill()
  const gatewayAgain = await gateway.again()
  onTestFinished(async () => void (await gatewayAgain.kill()))
  await first.waitForPart(0.35)
  const second = await Viewer.open(await stack.openDevice(memberId), taskId, text)
  await second.waitForPart(0.5)
  expect(await killGatewayRedisConnections(stack.redis.url)).toBeGreaterThan(0)
  for (const viewer of [first, second]) await viewer.waitForPart(0.6)
  await stack.api.kill('SIGTERM')
  const apiAgain = await stack.api.again()
  onTestFinished(async () => void (await apiAgain.kill()))
  await second.waitForPart(0.75)
  await first.reload()
  for (const viewer of [first, second]) await viewer.waitForPart(0.9)

  expect(await ended).toBe('succeeded')
  for (const viewer of [first, second]) {
    await waitFor(async () => (await viewer.state()).status === 'succeeded', { deadlineMs, what: 'the status succeeded' })
    const shown = await viewer.state()
    expect([shown.text === text, viewer.mistakes]).toEqual([true, []])
    expect(shown).toMatchObject(state)
  }
  if (longRun) console.log({ characters: text.length, snapshots: [first.updates, second.updates] })
})

/** Resolves to the gateway that holds a session of the member. */
async function gatewayOf(member: number) {
  for (const gateway of stack.gateways) if ((await stack.countSessions(member, gateway)) > 0) return gateway
  throw new Error('no gateway has a session of this member')
}
