import type {
  MemberId,
  SendBroadcast,
  SendNotification,
  SentBroadcast,
  SentNotification,
  SentNotifications,
} from '@tidings/protocol'
import type { Database } from '../database/database.ts'
import { isDuplicate } from '../database/error.ts'
import { failureOf, GroupCommit, type GroupLimits } from '../database/group-commit.ts'
import type { Outbox } from '../outbox/outbox.ts'
import { type EscalationPolicy, isPushed } from '../reach/escalation.ts'
import type { Reach } from '../reach/reach.ts'
import type { Idempotency } from './idempotency.ts'
import type { IdempotencyKey } from './idempotency-key.ts'
import { allMembers, channelOf } from './published-body.ts'
import { type CollapsingEntry, writeCollapsing } from './write-collapsing.ts'
import {
  type GroupEntry,
  groupEntry,
  type NewNotification,
  type StoredEntry,
  type WriteGroupDeps,
  writeGroup,
} from './write-group.ts'

export interface SenderDeps {
  /** Both must be opened with `scripts: true`. */
  readonly database: Database
  readonly collapsingDatabase: Database
  readonly outbox: Pick<Outbox, 'publishEach' | 'deferNotifications'>
  readonly idempotency: Idempotency
  readonly escalations: EscalationPolicy
  readonly reach: Pick<Reach, 'expedite'>
  readonly limits: GroupLimits
  readonly onCommit: WriteGroupDeps['onCommit']
}

export interface Sent<Body> {
  readonly response: Body
  /** True when this is the response to an earlier request with the same idempotency key. */
  readonly replayed: boolean
}

interface NewPost extends NewNotification {
  readonly collapseKey?: string | undefined
}

/** Returns the response to a request. `online` is empty when it is not known. */
type ResponseBuilder<Body> = (notificationIds: readonly number[], online: readonly (boolean | null)[]) => Body

/**
 * Sends notifications: stores them with their outbox rows, once for each idempotency key. Concurrent requests share one transaction, and
 * the commit of that transaction hands the rows to the outbox.
 *
 * Both calls reject with DatabaseAway, Overload, Problem `still-running` or `key-reused`, or the database's refusal of these values.
 */
export class Sender {
  readonly #outbox: SenderDeps['outbox']
  readonly #idempotency: Idempotency
  readonly #escalations: EscalationPolicy
  readonly #reach: SenderDeps['reach']
  readonly #group: GroupCommit<GroupEntry, StoredEntry>
  /** Those with a collapse key wait for locks, so others do not share their transactions. */
  readonly #collapsing: GroupCommit<CollapsingEntry, StoredEntry>

  constructor({ database, collapsingDatabase, outbox, idempotency, escalations, reach, limits, onCommit }: SenderDeps) {
    this.#outbox = outbox
    this.#idempotency = idempotency
    this.#escalations = escalations
    this.#reach = reach
    const deps: WriteGroupDeps = { database, outbox, onCommit }
    this.#group = new GroupCommit({ commit: (group) => writeGroup(group, deps), failure: failureOf }, limits)
    const collapsingDeps: WriteGroupDeps = { ...deps, database: collapsingDatabase }
    this.#collapsing = new GroupCommit({ commit: (group) => writeCollapsing(group, collapsingDeps), failure: failureOf }, limits)
  }

  /** Requests that wait for their transaction to begin. */
  get queued(): number {
    return this.#group.queued + this.#collapsing.queued
  }

  /**
   * Sends one notification, or the same for each of several members.
   *
   * @throws Problem `invalid` when it asks for a way that is not configured.
   */
  send(
    { memberId, memberIds, escalate, ...content }: SendNotification,
    key: IdempotencyKey | undefined,
    traceparent: string | undefined,
  ): Promise<Sent<SentNotification | SentNotifications>> {
    const recipients = memberIds ?? [memberId as MemberId]
    const escalation = this.#escalations.plan(escalate, content.kind)
    return this.#sendOnce({ memberIds: recipients, ...content, escalation, key, traceparent }, (notificationIds, online) => {
      const notifications = recipients.map((recipient, index) => ({
        notificationId: notificationIds[index] as number,
        memberId: recipient,
        online: online[index] ?? null,
      }))
      return memberIds ? { notifications } : (notifications[0] as SentNotification)
    })
  }

  /** Sends one notification to all members. */
  broadcast(
    content: SendBroadcast,
    key: IdempotencyKey | undefined,
    traceparent: string | undefined,
  ): Promise<Sent<SentBroadcast>> {
    return this.#sendOnce({ memberIds: [allMembers], ...content, key, traceparent }, ([notificationId]) => ({
      notificationId: notificationId as number,
    }))
  }

  /** Resolves when every request has its outcome. */
  async close(): Promise<void> {
    await Promise.all([this.#group.close(), this.#collapsing.close()])
  }

  async #sendOnce<Body>(notification: NewPost, responseOf: ResponseBuilder<Body>): Promise<Sent<Body>> {
    const { key, memberIds } = notification
    if (!key) return { response: await this.#store(notification, responseOf), replayed: false }
    this.#idempotency.begin(key)
    try {
      for (;;) {
        const response = await this.#store(notification, responseOf).catch(undefinedIfKeyExists)
        if (response !== undefined) {
          await this.#idempotency.keep(key, response)
          return { response, replayed: false }
        }
        const first = await this.#idempotency.firstResult(key)
        if (!first) continue // the key has expired and is free again
        if ('response' in first) return { response: first.response as Body, replayed: true }
        const notificationIds = memberIds.map((_, index) => first.firstNotificationId + index * first.idStep)
        // Its instance may have died before it published them. What is accepted from now on comes after them.
        await this.#outbox.deferNotifications(notificationIds, memberIds.map(channelOf))
        return { response: responseOf(notificationIds, []), replayed: true }
      }
    } finally {
      this.#idempotency.end(key)
    }
  }

  async #store<Body>({ collapseKey, ...notification }: NewPost, responseOf: ResponseBuilder<Body>): Promise<Body> {
    const entry = groupEntry(notification)
    const { notificationIds, online } = await (collapseKey === undefined
      ? this.#group.submit(entry)
      : this.#collapsing.submit({ ...entry, collapseKey }))
    const isOnline = await Promise.all(online)
    if (isPushed(entry.escalation)) this.#reach.expedite(notificationIds.filter((_, index) => isOnline[index] === false))
    return responseOf(notificationIds, isOnline)
  }
}

function undefinedIfKeyExists(error: unknown): undefined {
  if (!isDuplicate(error)) throw error
}
