import { createHash } from 'node:crypto'
import type { MemberId } from '@tidings/protocol'
import type { Connection, Database } from '../database/database.ts'
import { findMember, keyText, type MemberKey, storeMember } from '../database/member-key.ts'
import type { PushKeys } from './encryption.ts'
import type { SubscribedPage } from './payload.ts'

/** What a browser subscribed with. */
export interface NewSubscription extends SubscribedPage, PushKeys {
  readonly endpoint: string
  /** An earlier endpoint of the same browser, which is removed. */
  readonly replaces?: string | undefined
}

/** A stored subscription. */
export interface PushSubscription extends NewSubscription {
  readonly subscriptionId: number
}

/** The token of a request, of which {@link PushSubscriptions.put} checks that it was not revoked meanwhile. */
export interface TokenInUse {
  readonly tokenHash: string
  /** Unix seconds. */
  readonly issuedAt: number
}

/** The token was revoked while the request was served. */
export class TokenRevoked extends Error {}

interface Row {
  readonly memberId: number | string
  readonly subscriptionId: number
  readonly endpoint: string
  readonly p256dh: Buffer
  readonly auth: Buffer
  readonly origin: string | null
  readonly lang: string | null
}

/** The browsers of members that receive push messages. */
export class PushSubscriptions {
  readonly #database: Database
  readonly #maxPerMember: number

  constructor(database: Database, maxPerMember: number) {
    this.#database = database
    this.#maxPerMember = maxPerMember
  }

  /**
   * Stores a subscription, or takes over that of another member with this endpoint. Beyond the limit of the member, those that were stored
   * longest ago are removed.
   *
   * @throws TokenRevoked
   */
  async put(memberId: MemberId, subscription: NewSubscription, token: TokenInUse): Promise<void> {
    const { endpoint, p256dh, auth, origin = null, lang = null, replaces } = subscription
    await this.#database.transaction(async (connection) => {
      const key = await storeMember(connection, memberId)
      await connection.write(
        `INSERT INTO push_subscription (member_id, endpoint_hash, endpoint, p256dh, auth, origin, lang, changed_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, NOW(3))
         ON DUPLICATE KEY UPDATE member_id = VALUES(member_id), p256dh = VALUES(p256dh), auth = VALUES(auth),
           origin = VALUES(origin), lang = VALUES(lang), changed_at = VALUES(changed_at)`,
        [key, hashOf(endpoint), endpoint, p256dh, auth, origin, lang],
      )
      if (replaces !== undefined && replaces !== endpoint) await removeEndpoint(connection, key, replaces)
      await this.#trim(connection, key)
      // After the INSERT, and with locks: either this sees the revocation, or the revocation removes the row.
      await refuseRevoked(connection, memberId, token)
    })
  }

  async remove(memberId: MemberId, endpoint: string): Promise<void> {
    await this.#database.run(async (connection) => removeEndpoint(connection, await findMember(connection, memberId), endpoint))
  }

  /** Removes subscriptions whose endpoint is gone. */
  async drop(subscriptionIds: readonly number[]): Promise<void> {
    await this.#database.run((connection) =>
      connection.write('DELETE FROM push_subscription WHERE subscription_id IN (?)', [subscriptionIds]),
    )
  }

  /** Returns the subscriptions of members, by the text of their keys. */
  async of(keys: readonly MemberKey[]): Promise<ReadonlyMap<string, PushSubscription[]>> {
    const rows = await this.#database.run((connection) =>
      connection.rows<Row>(
        `SELECT member_id AS memberId, subscription_id AS subscriptionId, endpoint, p256dh, auth, origin, lang
         FROM push_subscription WHERE member_id IN (?)`,
        [keys],
      ),
    )
    const found = new Map<string, PushSubscription[]>()
    for (const { memberId, origin, lang, ...row } of rows) {
      const subscription = { ...row, origin: origin ?? undefined, lang: lang ?? undefined }
      const others = found.get(String(memberId))
      if (others) others.push(subscription)
      else found.set(String(memberId), [subscription])
    }
    return found
  }

  /** Returns which subscriptions need no further push message of a notification, and whether they got one. */
  async settled(notificationId: number): Promise<ReadonlyMap<number, boolean>> {
    const rows = await this.#database.run((connection) =>
      connection.rows<{ id: number; sent: number }>(
        'SELECT subscription_id AS id, sent FROM push_settled WHERE notification_id = ?',
        [notificationId],
      ),
    )
    return new Map(rows.map(({ id, sent }) => [id, sent === 1]))
  }

  /** Records that these subscriptions need no further push message of a notification, which others still need. */
  async settle(notificationId: number, settled: ReadonlyMap<number, boolean>): Promise<void> {
    const rows = [...settled].map(([subscriptionId, sent]) => [notificationId, subscriptionId, sent])
    await this.#database.run((connection) =>
      connection.write('INSERT IGNORE INTO push_settled (notification_id, subscription_id, sent) VALUES ?', [rows]),
    )
  }

  /** Deletes what {@link settle} recorded of a notification. */
  async forget(notificationId: number): Promise<void> {
    await this.#database.run((connection) =>
      connection.write('DELETE FROM push_settled WHERE notification_id = ?', [notificationId]),
    )
  }

  async #trim(connection: Connection, key: MemberKey): Promise<void> {
    const surplus = await connection.rows<{ id: number }>(
      `SELECT subscription_id AS id FROM push_subscription WHERE member_id = ?
       ORDER BY changed_at DESC, subscription_id DESC LIMIT 1000 OFFSET ?`,
      [key, this.#maxPerMember],
    )
    if (surplus.length === 0) return
    await connection.write('DELETE FROM push_subscription WHERE subscription_id IN (?)', [surplus.map(({ id }) => id)])
  }
}

/** Removes all subscriptions of a member, within the caller's transaction. */
export async function removeSubscriptions(connection: Connection, memberId: MemberId): Promise<void> {
  await connection.write('DELETE FROM push_subscription WHERE member_id = ?', [await findMember(connection, memberId)])
}

/** Reads the subscriptions of members. Those asked for while a read is under way are read together. */
export class SubscriptionReader {
  readonly #store: Pick<PushSubscriptions, 'of'>
  #keys: MemberKey[] = []
  #next: Promise<ReadonlyMap<string, PushSubscription[]>> | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(store: Pick<PushSubscriptions, 'of'>) {
    this.#store = store
  }

  async of(key: MemberKey): Promise<readonly PushSubscription[]> {
    this.#keys.push(key)
    this.#next ??= this.#read()
    return (await this.#next).get(keyText(key)) ?? []
  }

  async #read(): Promise<ReadonlyMap<string, PushSubscription[]>> {
    const previous = this.#last
    const read = (async () => {
      await previous
      const keys = this.#keys
      this.#keys = []
      this.#next = undefined
      return this.#store.of(keys)
    })()
    this.#last = read.catch(() => {})
    return read
  }
}

function hashOf(endpoint: string): Buffer {
  return createHash('sha256').update(endpoint).digest()
}

async function removeEndpoint(connection: Connection, key: MemberKey, endpoint: string): Promise<void> {
  await connection.write('DELETE FROM push_subscription WHERE endpoint_hash = ? AND member_id = ?', [hashOf(endpoint), key])
}

async function refuseRevoked(connection: Connection, memberId: MemberId, { tokenHash, issuedAt }: TokenInUse): Promise<void> {
  const [revoked] = await connection.rows(
    `SELECT 1 FROM revocation WHERE member_id = ? AND (token_hash = ? OR (token_hash = '' AND issued_before > ?))
     LIMIT 1 LOCK IN SHARE MODE`,
    [String(memberId), tokenHash, issuedAt],
  )
  if (revoked) throw new TokenRevoked()
}
