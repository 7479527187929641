/**
 * The writes of one class on their way to Cassandra. Rows that wait gather into batches of their
 * Cassandra partition, whichever call they came with: the busier the store, the fuller its batches.
 * A class has its own batches on their way, so that the many rows of wide cuts never hold up the
 * few of narrow ones.
 */
import {
  BATCH_MAX_BYTES,
  BATCH_MAX_ROWS,
  WAITING_STATEMENTS_MAX,
  WAITING_WRITES_MAX_BYTES,
} from './cassandra-limits.ts'
import type { ClassStanding } from './cassandra-telemetry.ts'
import { speedErrors } from './speed-errors.ts'

/** One statement that writes one row, or deletes some. */
export interface RowWrite {
  /** Names the Cassandra partition: what has the same may share a batch. */
  readonly partition: string
  readonly query: string
  readonly params: readonly unknown[]
  /** About how many bytes the row has. */
  readonly bytes: number
}

export interface WriteLaneParts {
  /** Batches on their way at a time. */
  readonly inFlightMax: number
  /** Resolves when all the rows, which are of one Cassandra partition, are durable. */
  send(writes: readonly RowWrite[]): Promise<void>
  onRefused(): void
}

interface Batch {
  readonly writes: RowWrite[]
  bytes: number
  readonly done: PromiseWithResolvers<void>
}

export class WriteLane {
  readonly #parts: WriteLaneParts
  /** Batches in the order in which they were begun. */
  readonly #waiting = new Set<Batch>()
  /** The waiting batch of each partition that still takes rows. */
  readonly #open = new Map<string, Batch>()
  #waitingBytes = 0
  #inFlight = 0

  constructor(parts: WriteLaneParts) {
    this.#parts = parts
  }

  get standing(): ClassStanding {
    return {
      inFlight: this.#inFlight,
      waiting: this.#waiting.size,
      waitingBytes: this.#waitingBytes,
    }
  }

  /** Resolves when every row is durable; waits for all of them, also when one fails. */
  async write(writes: readonly RowWrite[]): Promise<void> {
    this.#assertRoom()
    const batches = new Set(writes.map((write) => this.#add(write)))
    this.#pump()
    const ended = await Promise.allSettled([...batches].map(({ done }) => done.promise))
    const failed = ended.find((end) => end.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  /** One call always fits a lane that is not full, however large it is. */
  #assertRoom(): void {
    const { waiting, waitingBytes } = this.standing
    if (waiting < WAITING_STATEMENTS_MAX && waitingBytes < WAITING_WRITES_MAX_BYTES) return
    this.#parts.onRefused()
    throw speedErrors.create('SPEED_UNAVAILABLE', {
      expected: `fewer than ${WAITING_STATEMENTS_MAX} statements and ${WAITING_WRITES_MAX_BYTES} bytes that wait`,
      received: `${waiting} statements, ${waitingBytes} bytes`,
    })
  }

  #add(write: RowWrite): Batch {
    let batch = this.#open.get(write.partition)
    if (batch === undefined || isFull(batch, write)) {
      batch = { writes: [], bytes: 0, done: Promise.withResolvers() }
      this.#open.set(write.partition, batch)
      this.#waiting.add(batch)
    }
    batch.writes.push(write)
    batch.bytes += write.bytes
    this.#waitingBytes += write.bytes
    return batch
  }

  #pump(): void {
    for (const batch of this.#waiting) {
      if (this.#inFlight >= this.#parts.inFlightMax) return
      this.#waiting.delete(batch)
      this.#waitingBytes -= batch.bytes
      const partition = batch.writes[0]?.partition ?? ''
      if (this.#open.get(partition) === batch) this.#open.delete(partition)
      void this.#send(batch)
    }
  }

  async #send({ writes, done }: Batch): Promise<void> {
    this.#inFlight += 1
    try {
      await this.#parts.send(writes)
      done.resolve()
    } catch (error) {
      done.reject(error)
    }
    this.#inFlight -= 1
    this.#pump()
  }
}

function isFull({ writes, bytes }: Batch, next: RowWrite): boolean {
  return writes.length >= BATCH_MAX_ROWS || bytes + next.bytes > BATCH_MAX_BYTES
}
