const bytesPerBody = 300
/** Precedes the time in each body. */
export const timeMarker = '/t/'

/** Returns microseconds of the monotonic clock, which all processes of a machine share. */
export function nowMicroseconds(): number {
  return Number(process.hrtime.bigint() / 1_000n)
}

/** Returns `redirectPath` with the current time, from which the receiver of a message computes its latency. */
export function timedPath(): string {
  return `${timeMarker}${nowMicroseconds()}`
}

/** Returns a notification of {@link bytesPerBody} bytes as JSON. */
export function notificationBody(memberId: number, notificationId: number): string {
  const body = { memberId, notificationId, redirectPath: timedPath(), message: '새로운 알림이 도착했습니다. ' }
  const padding = 'x'.repeat(Math.max(0, bytesPerBody - Buffer.byteLength(JSON.stringify(body))))
  return JSON.stringify({ ...body, message: body.message + padding })
}
