import type { MemberId } from '@tidings/protocol'
import { Overload } from '../database/group-commit.ts'

const maxQueuedPerMember = 100

interface MemberTasks {
  last: Promise<unknown>
  unfinished: number
}

/** Runs the tasks of each member sequentially, in arrival order. */
export class PerMemberQueue {
  readonly #members = new Map<MemberId, MemberTasks>()

  /** Resolves to the result of `task`. @throws Overload when too many tasks of the member are waiting, or what `task` throws. */
  async run<Result>(memberId: MemberId, task: () => Promise<Result>): Promise<Result> {
    const member = this.#members.get(memberId) ?? { last: Promise.resolve(), unfinished: 0 }
    if (member.unfinished >= maxQueuedPerMember) throw new Overload('too many requests of one member are waiting')
    this.#members.set(memberId, member)
    member.unfinished++
    const result = member.last.then(task)
    member.last = result.catch(() => {})
    try {
      return await result
    } finally {
      if (--member.unfinished === 0) this.#members.delete(memberId)
    }
  }
}
