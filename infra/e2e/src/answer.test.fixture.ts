import { randomUUID } from 'node:crypto'
import { serviceToken } from '@tidings/local'
import { generatedTokens, startModelServer } from '@tidings/producer/example/model-server'
import { answerQuestion } from '@tidings/producer/example/rag-job'
import { Redis } from 'ioredis'
import { onTestFinished } from 'vitest'

/** An answer that a model gives at this pace, and the backend's job that streams it into a task. */
export interface Answer {
  readonly taskId: string
  /** All that is streamed. */
  readonly text: string
  /** What the task comes to. */
  readonly state: object
  /** Runs the job against this notify-api; resolves to how the task ended. */
  readonly job: (url: string) => Promise<string>
}

export const long = process.env['TIDINGS_LONG'] === '1'
/** As fast as a quick model writes. */
export const tokensPerSecond = 150

export async function openAnswer(memberId: number, options: { tokens: number; tokensPerSecond?: number }): Promise<Answer> {
  const model = await startModelServer({ tokensPerSecond, ...options })
  onTestFinished(() => model.close())
  const taskId = randomUUID()
  const question = { memberId, question: '알림은 어떻게 유실되지 않나요?', taskId }
  const source = { title: '운영 안내서', url: 'https://example.com/4' }
  const search = async () => [{ ...source, text: '…' }]
  return {
    taskId,
    text: generatedTokens(options.tokens).join(''),
    state: {
      status: 'succeeded',
      stage: '답변 작성',
      data: [{ sources: [source] }],
      result: { finishReason: 'stop', usage: { completion_tokens: options.tokens } },
    },
    job(url) {
      const ended = answerQuestion(question, { url, token: serviceToken(), modelUrl: model.url, search })
      ended.catch(() => {}) // who awaits it later hears of it then
      return ended
    },
  }
}

/** Cuts all gateways off from Redis, which goes on; answers how many connections that were. They come back by themselves. */
export async function cutGatewaysOff(redisUrl: string): Promise<number> {
  const admin = new Redis(redisUrl)
  try {
    const clients = String(await admin.client('LIST')).split('\n')
    const ids = clients
      .filter((line) => line.includes(' name=realtime-gateway:'))
      .map((line) => Number(/^id=(\d+)/.exec(line)?.[1]))
    const killed = await Promise.all(ids.map((id) => admin.client('KILL', 'ID', id)))
    return killed.reduce<number>((total, one) => total + Number(one), 0)
  } finally {
    admin.disconnect()
  }
}
