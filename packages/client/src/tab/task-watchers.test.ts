import { expect, test } from 'vitest'
import { ResumePoints } from '../connection/resume-points.ts'
import { taskPrefix } from './task-destination.ts'
import { maxTasks, TaskWatchers } from './task-watchers.ts'

/** The watchers of a leading tab with `count` tasks, and what its session is subscribed to. */
function lead(count: number) {
  const subscribed = new Set<string>()
  const waiting: string[] = []
  const link = {
    subscribe: (destination: string) => void subscribed.add(destination),
    unsubscribe: (destination: string) => void subscribed.delete(destination),
  }
  const watchers = new TaskWatchers('here', new ResumePoints(), link, (taskId) => void waiting.push(taskId))
  for (let at = 0; at < count; at += 1) watchers.watch({ tab: 'here', taskId: `${at}`, fresh: true })
  return { watchers, subscribed, waiting, subscribes: (taskId: string) => subscribed.has(taskPrefix + taskId) }
}

test('a task above the bound waits, and is reported; the others stay subscribed', () => {
  const { watchers, subscribed, waiting, subscribes } = lead(maxTasks + 2)
  expect([subscribed.size, subscribes('0'), waiting]).toEqual([maxTasks, true, [`${maxTasks}`, `${maxTasks + 1}`]])
  expect([...watchers.destinations()]).toEqual([...subscribed])
})

test('a waiting task is subscribed when another one ends or is no longer watched', () => {
  const { watchers, subscribed, subscribes } = lead(maxTasks + 2)
  watchers.finished(`${taskPrefix}0`)
  expect([subscribes('0'), subscribes(`${maxTasks}`), subscribes(`${maxTasks + 1}`)]).toEqual([false, true, false])
  watchers.unwatch({ tab: 'here', taskId: '7' })
  expect([subscribes('7'), subscribes(`${maxTasks + 1}`), subscribed.size]).toEqual([false, true, maxTasks])
})

test('a task that is no longer watched while it waits is not subscribed later', () => {
  const { watchers, subscribes } = lead(maxTasks + 2)
  watchers.unwatch({ tab: 'here', taskId: `${maxTasks}` })
  watchers.unwatch({ tab: 'here', taskId: '7' })
  expect([subscribes(`${maxTasks}`), subscribes(`${maxTasks + 1}`)]).toEqual([false, true])
})

test('a tab that takes over subscribes to as many as the bound permits', () => {
  const { watchers, waiting } = lead(0)
  for (let at = 0; at <= maxTasks; at += 1) watchers.add(`${at}`)
  watchers.lead()
  expect([[...watchers.destinations()].length, waiting]).toEqual([maxTasks, [`${maxTasks}`]])
})
