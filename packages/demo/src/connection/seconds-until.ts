import { useSyncExternalStore } from 'react'

const beatMs = 250

/** Whole seconds until then, counting down; undefined without a time, or once it has passed. */
export function useSecondsUntil(time: number | undefined): number | undefined {
  return useSyncExternalStore(time === undefined ? never : everyBeat, () => secondsUntil(time))
}

function secondsUntil(time = 0): number | undefined {
  const seconds = Math.ceil((time - Date.now()) / 1_000)
  return seconds > 0 ? seconds : undefined
}

function everyBeat(listener: () => void): () => void {
  const timer = setInterval(listener, beatMs)
  return () => clearInterval(timer)
}

function never(): () => void {
  return () => undefined
}
