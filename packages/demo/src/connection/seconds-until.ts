import { useSyncExternalStore } from 'react'

const refreshMs = 250

/** Counts down the whole seconds until `time` (epoch milliseconds). Undefined without a time, or once it has passed. */
export function useSecondsUntil(time: number | undefined): number | undefined {
  return useSyncExternalStore(time === undefined ? subscribeToNothing : subscribeToTicks, () => secondsUntil(time))
}

function secondsUntil(time = 0): number | undefined {
  const seconds = Math.ceil((time - Date.now()) / 1_000)
  return seconds > 0 ? seconds : undefined
}

function subscribeToTicks(listener: () => void): () => void {
  const timer = setInterval(listener, refreshMs)
  return () => clearInterval(timer)
}

function subscribeToNothing(): () => void {
  return () => undefined
}
