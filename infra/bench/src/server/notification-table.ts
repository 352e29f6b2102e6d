import { createPool, type Pool, type ResultSetHeader } from 'mysql2/promise'

/** A notification as a simple backend stores it: one INSERT in autocommit for each. */
export interface NewNotification {
  readonly memberId: number
  readonly message: string
  readonly redirectPath: string
}

/** Schema of the body of `POST /notification/send`, for Fastify. */
export const notificationSchema = {
  body: {
    type: 'object',
    required: ['memberId', 'message'],
    properties: { memberId: { type: 'integer' }, message: { type: 'string' }, redirectPath: { type: 'string' } },
  },
} as const

const connectionLimit = 10

export class NotificationTable {
  readonly #pool: Pool

  constructor(url: string) {
    this.#pool = createPool({ uri: url, connectionLimit })
  }

  async create(): Promise<void> {
    await this.#pool.query(
      `CREATE TABLE IF NOT EXISTS notification (id BIGINT AUTO_INCREMENT PRIMARY KEY, member_id BIGINT NOT NULL, message TEXT NOT NULL,
       redirect_path VARCHAR(2048), created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3), read_at DATETIME(3),
       KEY member (member_id, id))`,
    )
  }

  /** Resolves to the id of the row. */
  async insert({ memberId, message, redirectPath }: NewNotification): Promise<number> {
    const [{ insertId }] = await this.#pool.execute<ResultSetHeader>(
      'INSERT INTO notification (member_id, message, redirect_path) VALUES (?, ?, ?)',
      [memberId, message, redirectPath],
    )
    return insertId
  }
}
