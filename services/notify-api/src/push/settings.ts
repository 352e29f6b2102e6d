import type { PrivateAddresses } from './endpoint.ts'
import type { VapidSettings } from './vapid.ts'

export interface WebPushSettings {
  readonly vapid: VapidSettings
  /** Requests to push services at a time. */
  readonly concurrency: number
  /** Requests to one push service at a time. */
  readonly perOrigin: number
  /** How long push services keep messages for browsers that are not reachable. */
  readonly ttlSeconds: number
  readonly privateAddresses: PrivateAddresses
}
