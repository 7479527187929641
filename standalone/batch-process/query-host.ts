/** Answers the server's queries of the history: sessions by number, rows in slices. */
import type { QueryLimits, Row, Select } from '../../shared/warehouse/warehouse.ts'
import type { ReadSession, WarehouseReader } from '../../shared/warehouse/warehouse-reader.ts'
import { toSlice, type FromBatch } from '../batch-messages.ts'
import { standaloneErrors } from '../errors.ts'
import { BATCH_ROWS_PER_MESSAGE, QUERY_SESSIONS_MAX } from '../limits.ts'

/** Resolves when the channel has taken the message. */
export type Send = (message: FromBatch) => Promise<void>

export class QueryHost {
  readonly #warehouse: WarehouseReader
  readonly #send: Send
  readonly #sessions = new Map<number, ReadSession>()
  #opening = 0
  #lastSession = 0

  constructor(warehouse: WarehouseReader, send: Send) {
    this.#warehouse = warehouse
    this.#send = send
  }

  async open(id: number): Promise<void> {
    if (this.#sessions.size + this.#opening >= QUERY_SESSIONS_MAX)
      throw standaloneErrors.create('STANDALONE_BATCH_BUSY', {
        expected: `at most ${QUERY_SESSIONS_MAX} sessions of the warehouse`,
        received: 'one more',
      })
    this.#opening++
    try {
      const opened = await this.#warehouse.open()
      const session = ++this.#lastSession
      this.#sessions.set(session, opened)
      await this.#send({ kind: 'opened', id, session })
    } finally {
      this.#opening--
    }
  }

  async query(
    id: number,
    asked: { readonly session: number; readonly select: Select; readonly limits: QueryLimits },
  ): Promise<void> {
    const session = this.#sessions.get(asked.session)
    if (session === undefined)
      throw standaloneErrors.create('STANDALONE_BATCH_AWAY', {
        expected: 'an open session of the warehouse',
        received: 'one that is closed',
      })
    await this.#sendRows(id, await session.query(asked.select, asked.limits))
    await this.#send({ kind: 'done', id })
  }

  async close(session: number): Promise<void> {
    const opened = this.#sessions.get(session)
    this.#sessions.delete(session)
    await opened?.close()
  }

  async stop(): Promise<void> {
    for (const session of this.#sessions.keys()) await this.close(session)
  }

  async #sendRows(id: number, rows: readonly Row[]): Promise<void> {
    for (let from = 0; from < rows.length; from += BATCH_ROWS_PER_MESSAGE) {
      const slice = toSlice(rows.slice(from, from + BATCH_ROWS_PER_MESSAGE))
      await this.#send({ kind: 'rows', id, slice })
    }
  }
}
