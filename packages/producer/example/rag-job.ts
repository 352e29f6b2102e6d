import { openAiStream, runTask, type TaskOptions } from '@tidings/producer'

export interface Question {
  readonly memberId: number | string
  readonly question: string
  /** A UUID made by the page, so that it can cancel the task at once. */
  readonly taskId?: string
}

/** Answers a member's question from documents: everything that a backend has to do. Returns the status in which the task ended. */
export function answerQuestion(
  { memberId, question, taskId }: Question,
  { modelUrl, search, ...tidings }: Pick<TaskOptions, 'url' | 'token'> & { modelUrl: string; search: Search },
): Promise<string> {
  return runTask({ ...tidings, memberId, taskId, kind: 'rag.answer', title: question }, async (task) => {
    await task.progress({ stage: '문서 검색', percent: 5 })
    const documents = await search(question, task.signal)

    await task.progress({ stage: '문서 읽기', percent: 20 })
    await task.data({ sources: documents.map(({ title, url }) => ({ title, url })) })

    await task.progress({ stage: '답변 작성', percent: 40 })
    const answer = openAiStream(
      await fetch(`${modelUrl}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'any', stream: true, messages: messagesOf(question, documents) }),
        signal: task.signal,
      }),
    )
    await task.pipe(answer)
    return {
      result: { finishReason: answer.finishReason, usage: answer.usage, citations: answer.sources },
      notify: { message: `답변이 준비되었습니다: ${question}`.slice(0, 200), redirectPath: `/task/${task.taskId}` },
    }
  })
}

export type Search = (question: string, signal: AbortSignal) => Promise<readonly Document[]>

export interface Document {
  readonly title: string
  readonly url: string
  readonly text: string
}

function messagesOf(question: string, documents: readonly Document[]) {
  return [
    {
      role: 'system',
      content: `Answer from these documents:\n${documents.map(({ title, text }) => `# ${title}\n${text}`).join('\n')}`,
    },
    { role: 'user', content: question },
  ]
}
