/** Interval at which the one timer of the process checks its sessions. */
export const sweepMs = 500
