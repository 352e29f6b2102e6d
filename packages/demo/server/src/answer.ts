import { setTimeout as delay } from 'node:timers/promises'
import type { MemberId } from '@tidings/protocol'
import { createTask, type Task, TaskOver } from '@tidings/producer'

/** The `kind` of the task, by which the page recognizes answers. */
const kind = 'answer'
const tokensPerSecond = 40
const stageMs = 900
const firstStagePercent = 10
const percentPerStage = 15
const textPercent = { from: 55, to: 99 } as const
/** Progress is sent after each run of this many tokens. */
const tokensPerProgress = 40

/**
 * Answers a question as a product's backend would, with a written text in place of a model. Resolves to the task's id as soon as the
 * task exists; `onError` receives what stops the answer after that, unless the member cancelled it.
 */
export async function answerQuestion(
  question: string,
  { memberId, url, token }: { memberId: MemberId; url: string; token: () => string },
  onError: (error: unknown) => void,
): Promise<string> {
  const task = await createTask({ url, token, memberId, kind, title: question })
  write(task, /\p{Script=Hangul}/u.test(question) ? korean : english).catch((error: unknown) => {
    task.release()
    if (!(error instanceof TaskOver)) onError(error)
  })
  return task.taskId
}

async function write(task: Task, { stages, sources, text }: WrittenAnswer): Promise<void> {
  for (const [index, stage] of stages.entries()) {
    await task.progress({ stage, percent: firstStagePercent + index * percentPerStage })
    await delay(stageMs, undefined, { signal: task.signal }).catch(() => {})
  }
  await task.data({ sources })
  await task.pipe(tokens(text, task))
  await task.finish({ status: 'succeeded', result: { sources: sources.length } })
}

async function* tokens(text: string, task: Task): AsyncGenerator<string> {
  const pieces = text.match(/\S{1,4}|\s+/g) ?? []
  const { from, to } = textPercent
  for (const [index, piece] of pieces.entries()) {
    yield piece
    await delay(1_000 / tokensPerSecond)
    if ((index + 1) % tokensPerProgress === 0) {
      const percent = from + Math.round(((100 - from) * index) / pieces.length)
      await task.progress({ percent: Math.min(to, percent) })
    }
  }
}

interface WrittenAnswer {
  readonly stages: readonly string[]
  readonly sources: readonly { readonly title: string; readonly url: string }[]
  readonly text: string
}

const english: WrittenAnswer = {
  stages: ['Searching the handbook', 'Reading 3 documents', 'Writing'],
  sources: [
    { title: 'PROTOCOL.md, Resume and gaps', url: 'https://example.com/protocol#resume' },
    { title: 'Decision: one follower', url: 'https://example.com/decisions/one-follower' },
    { title: 'Decision: a running task is its history', url: 'https://example.com/decisions/task-history' },
  ],
  text: `Every publication on a channel has a position: the moment its history began, and a number that counts up without holes.

When your browser comes back it names the last position it has. The gateway listens live first, holds what arrives, reads the history after that position, delivers it, and only then what it held. A hole cannot hide, because the numbers would not follow one another; a repeat cannot slip in, because a position is passed only once.

That is why you may reload this page now, in the middle of a sentence. The text you have seen so far comes as one snapshot, and the words that are still being written follow it. Open a second device and it joins in the same way.

Stop tells the producer to stop. Closing the page never does.`,
}

const korean: WrittenAnswer = {
  stages: ['운영 안내서 검색', '문서 3건 읽기', '답변 작성'],
  sources: [
    { title: 'PROTOCOL.md, 이어받기와 공백', url: 'https://example.com/protocol#resume' },
    { title: '결정: 하나의 팔로워', url: 'https://example.com/decisions/one-follower' },
    { title: '결정: 진행 중인 작업은 곧 그 이력이다', url: 'https://example.com/decisions/task-history' },
  ],
  text: `채널에 발행되는 모든 메시지에는 위치가 있습니다. 위치는 이력이 시작된 시각과, 빈틈없이 하나씩 커지는 번호로 이루어집니다.

브라우저가 다시 연결되면 마지막으로 받은 위치를 알려 줍니다. 게이트웨이는 먼저 실시간 수신을 시작해 도착하는 것을 붙들어 두고, 그 위치 다음의 이력을 읽어 전달한 뒤, 붙들어 둔 것을 이어서 전달합니다. 번호가 이어지지 않으면 공백이 드러나고, 한 번 지나간 위치는 다시 전달되지 않습니다.

그래서 지금 문장 중간에 새로고침을 해도 괜찮습니다. 지금까지의 글은 하나의 스냅숏으로 오고, 아직 쓰이고 있는 말이 그 뒤를 잇습니다. 다른 기기로 열어도 마찬가지입니다.

'중지'를 누르면 작성자가 멈춥니다. 페이지를 닫는 것만으로는 멈추지 않습니다.`,
}
