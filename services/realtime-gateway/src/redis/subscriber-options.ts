import type { ConnectionOptions } from '@tidings/chassis'

/** A connection that leaves a command without reply for this long is dead, even if TCP has not noticed. */
export const silenceMs = 5_000

/** Options of a connection that a `Subscriber` uses. */
export const subscriberOptions: ConnectionOptions = {
  connectionName: 'realtime-gateway:subscriber',
  autoResubscribe: false,
  enableOfflineQueue: false,
  maxRetriesPerRequest: null,
  socketTimeout: silenceMs,
}
