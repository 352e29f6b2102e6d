/** How what is unseen goes out: to the devices of the member, or to the webhook of the installation. */
export const ways = ['push', 'webhook'] as const
export type Way = (typeof ways)[number]

/** The setting without which a way cannot be used. */
export const settingOfWay: Readonly<Record<Way, string>> = { push: 'VAPID_PUBLIC_KEY', webhook: 'WEBHOOK_URL' }
