import { onTestFinished } from 'vitest'
import type { NotifyApi } from './notify-api.test.fixture.ts'

export interface Post {
  /** Undefined when there was no answer: the service died, or its connection did. */
  readonly status: number | undefined
  readonly notificationId: number | undefined
  readonly retryAfter: string | null | undefined
  readonly problem: boolean
  readonly ms: number
}

export interface PostLoad {
  readonly posts: readonly Post[]
  accepted(): number[]
  /** Resolves when the last answers are there. */
  stop(): Promise<void>
}

/** Posts to one member without a pause, over some connections, to whichever instance there is at the moment. */
export function postLoad(
  instance: () => NotifyApi,
  { memberId, connections }: { memberId: number; connections: number },
): PostLoad {
  const posts: Post[] = []
  const stopping = new AbortController()
  // Also when the test has failed before it could stop it.
  onTestFinished(() => stopping.abort())
  const senders = Array.from({ length: connections }, async () => {
    while (!stopping.signal.aborted) {
      const begin = performance.now()
      const answer = await instance()
        .send({ memberId, message: `post ${posts.length}`, redirectPath: '/' })
        .catch(() => undefined)
      posts.push({
        status: answer?.status,
        notificationId: answer?.status === 201 ? (answer.body['notificationId'] as number) : undefined,
        retryAfter: answer?.headers.get('retry-after'),
        problem: answer?.headers.get('content-type')?.startsWith('application/problem+json') ?? false,
        ms: performance.now() - begin,
      })
    }
  })
  return {
    posts,
    accepted: () => posts.flatMap(({ notificationId }) => notificationId ?? []),
    async stop() {
      stopping.abort()
      await Promise.all(senders)
    },
  }
}
