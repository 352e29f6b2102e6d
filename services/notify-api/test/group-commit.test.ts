import { waitFor } from '@tidings/local'
import { describe, expect, test } from 'vitest'
import { type Failure, GroupCommit, type GroupLimits, Overload, type Weight } from '../src/database/group-commit.ts'

interface Command extends Weight {
  readonly name: string
}

const limits: GroupLimits = { maxRows: 10, maxBytes: 1_000, maxQueued: 100, maxQueuedBytes: 10_000, maxWaitMs: 60_000 }

function command(name: string, weight: Partial<Weight> = {}): Command {
  return { name, rows: 1, bytes: 1, ...weight }
}

/** A database whose commits end when the test calls `succeed` or `fail`. */
function database(options: Partial<GroupLimits> = {}, failure: (error: unknown) => Failure = () => 'split') {
  const groups: { readonly names: string[]; succeed(): void; fail(error: unknown): void }[] = []
  const group = new GroupCommit<Command, string>(
    {
      commit: (commands) =>
        new Promise((resolve, reject) => {
          const names = commands.map(({ name }) => name)
          groups.push({ names, succeed: () => resolve(names.map((name) => `${name} done`)), fail: reject })
        }),
      failure,
    },
    { ...limits, ...options },
  )
  const nth = (index: number) => waitFor(() => groups[index], { what: `group ${index}` })
  return { group, groups, nth }
}

describe('a group of commands', () => {
  test('begins at once with a lone command', () => {
    const { group, groups } = database()
    void group.submit(command('a'))
    expect(groups.map(({ names }) => names)).toEqual([['a']])
  })

  test('is formed of the commands submitted during the previous commit, in order, each with its own outcome', async () => {
    const { group, nth } = database()
    const outcomes = ['a', 'b', 'c', 'd'].map((name) => group.submit(command(name)))
    ;(await nth(0)).succeed()
    expect((await nth(1)).names).toEqual(['b', 'c', 'd'])
    ;(await nth(1)).succeed()
    expect(await Promise.all(outcomes)).toEqual(['a done', 'b done', 'c done', 'd done'])
    await group.close()
  })

  test('ends before it exceeds a limit, unless it is a single command', async () => {
    const { group, nth } = database({ maxRows: 3, maxBytes: 100 })
    for (const one of [
      command('a'),
      command('b', { rows: 2 }),
      command('c'),
      command('d'),
      command('e', { bytes: 500 }),
      command('f'),
    ]) {
      void group.submit(one)
    }
    for (const [index, names] of [['a'], ['b', 'c'], ['d'], ['e'], ['f']].entries()) {
      const next = await nth(index)
      expect(next.names).toEqual(names)
      next.succeed()
    }
    await group.close()
  })
})

describe('a failed commit', () => {
  test('rejects only the command that caused it; its neighbours are committed in their order', async () => {
    const committed: string[] = []
    const group = new GroupCommit<Command, string>(
      {
        async commit(commands) {
          await Promise.resolve()
          const names = commands.map(({ name }) => name)
          if (names.includes('bad')) throw new Error('refused')
          committed.push(...names)
          return names
        },
        failure: () => 'split',
      },
      limits,
    )
    const outcomes = await Promise.allSettled(['first', 'a', 'b', 'bad', 'c', 'd'].map((name) => group.submit(command(name))))
    expect(outcomes.map(({ status }) => status === 'fulfilled')).toEqual([true, true, true, false, true, true])
    expect(committed).toEqual(['first', 'a', 'b', 'c', 'd'])
  })

  test('rejects all commands, without another attempt, when the cause is outside the group', async () => {
    const { group, groups, nth } = database({}, () => 'all')
    const outcomes = Promise.allSettled([group.submit(command('a')), group.submit(command('b')), group.submit(command('c'))])
    ;(await nth(0)).succeed()
    ;(await nth(1)).fail(new Error('gone'))
    expect((await outcomes).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected'])
    expect(groups).toHaveLength(2)
  })

  test('is retried a limited number of times when the cause is transient', async () => {
    const { group, groups, nth } = database({}, () => 'retry')
    const outcome = group.submit(command('a'))
    ;(await nth(0)).fail(new Error('deadlock'))
    ;(await nth(1)).fail(new Error('deadlock'))
    ;(await nth(2)).succeed()
    expect(await outcome).toBe('a done')
    const hopeless = group.submit(command('b'))
    for (const attempt of [3, 4, 5]) (await nth(attempt)).fail(new Error('deadlock'))
    await expect(hopeless).rejects.toThrow('deadlock')
    expect(groups).toHaveLength(6)
  })
})

describe('the queue', () => {
  test('is bounded in commands', async () => {
    const { group, nth } = database({ maxQueued: 2 })
    const outcomes = ['a', 'b', 'c'].map((name) => group.submit(command(name)))
    await expect(group.submit(command('d'))).rejects.toThrow(Overload)
    expect(group.queued).toBe(2)
    ;(await nth(0)).succeed()
    ;(await nth(1)).succeed()
    await Promise.all(outcomes)
  })

  test('is bounded in bytes, and accepts one command that is larger', async () => {
    const { group, nth } = database({ maxQueuedBytes: 100 })
    const outcomes = [command('a'), command('b', { bytes: 500 })].map((one) => group.submit(one))
    await expect(group.submit(command('c'))).rejects.toThrow(Overload)
    ;(await nth(0)).succeed()
    ;(await nth(1)).succeed()
    await Promise.all(outcomes)
    void group.submit(command('d', { bytes: 90 }))
    expect((await nth(2)).names).toEqual(['d'])
  })

  test('refuses commands that have waited too long', async () => {
    const { group, groups, nth } = database({ maxWaitMs: 20 })
    const begin = performance.now()
    const outcomes = Promise.allSettled([group.submit(command('a')), group.submit(command('late'))])
    await waitFor(() => performance.now() - begin > 40, { what: 'the wait to be over' })
    ;(await nth(0)).succeed()
    expect((await outcomes).map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
    expect(groups).toHaveLength(1)
  })
})
