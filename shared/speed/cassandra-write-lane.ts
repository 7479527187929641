/**
 * The writes of one class on their way to Cassandra. Rows gather into batches of their Cassandra
 * partition, whichever call they came with: a batch goes when it is full, or once it has waited for
 * `lingerMs` and there is room on the way, one that was begun earlier before one that is full. So the rows that many log partitions write at about the
 * same time share statements, and the busier the store, the fuller its batches.
 * A class has its own batches on their way, so that the many rows of wide cuts never hold up the
 * few of narrow ones.
 */
import type { Clock } from '../runtime/clock.ts'
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
  /** How long a batch waits for further rows of its partition, ms. */
  readonly lingerMs: number
  readonly clock: Pick<Clock, 'monotonicMs' | 'after'>
  /** Resolves when all the rows, which are of one Cassandra partition, are durable. */
  send(writes: readonly RowWrite[]): Promise<void>
  onRefused(): void
}

interface Batch {
  readonly partition: string
  readonly begunMs: number
  readonly writes: RowWrite[]
  bytes: number
  readonly done: PromiseWithResolvers<void>
}

export class WriteLane {
  readonly #parts: WriteLaneParts
  /** The batch of each partition that still takes rows, in the order in which they were begun. */
  readonly #open = new Map<string, Batch>()
  /** Batches that take no more rows, in the order in which they became so. */
  readonly #full: Batch[] = []
  #waitingBytes = 0
  #inFlight = 0
  #isTimed = false

  constructor(parts: WriteLaneParts) {
    this.#parts = parts
  }

  get standing(): ClassStanding {
    return {
      inFlight: this.#inFlight,
      waiting: this.#full.length + this.#open.size,
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
    const { partition } = write
    let batch = this.#open.get(partition)
    if (batch === undefined || batch.bytes + write.bytes > BATCH_MAX_BYTES) {
      if (batch !== undefined) this.#fill(batch)
      batch = this.#begin(partition)
    }
    batch.writes.push(write)
    batch.bytes += write.bytes
    this.#waitingBytes += write.bytes
    if (batch.writes.length >= BATCH_MAX_ROWS || batch.bytes >= BATCH_MAX_BYTES) this.#fill(batch)
    return batch
  }

  #begin(partition: string): Batch {
    const begunMs = this.#parts.clock.monotonicMs()
    const batch = { partition, begunMs, writes: [], bytes: 0, done: Promise.withResolvers<void>() }
    this.#open.set(partition, batch)
    return batch
  }

  /** It takes no more rows. */
  #fill(batch: Batch): void {
    this.#open.delete(batch.partition)
    this.#full.push(batch)
  }

  #pump(): void {
    while (this.#inFlight < this.#parts.inFlightMax) {
      const batch = this.#takeNext()
      if (batch === undefined) return
      this.#waitingBytes -= batch.bytes
      void this.#send(batch)
    }
  }

  /**
   * A full batch, unless an open one has waited out its time and was begun before it: however many are
   * full, the few rows of a partition with no more to come have their turn.
   */
  #takeNext(): Batch | undefined {
    const [full] = this.#full
    const oldest = this.#open.values().next().value
    if (full !== undefined && (oldest === undefined || oldest.begunMs >= full.begunMs))
      return this.#full.shift()
    if (oldest === undefined) return undefined
    const { clock, lingerMs } = this.#parts
    const leftMs = oldest.begunMs + lingerMs - clock.monotonicMs()
    if (leftMs > 0) return this.#full.shift() ?? this.#pumpAfter(leftMs)
    this.#open.delete(oldest.partition)
    return oldest
  }

  #pumpAfter(delayMs: number): undefined {
    if (this.#isTimed) return
    this.#isTimed = true
    this.#parts.clock.after(delayMs, () => {
      this.#isTimed = false
      this.#pump()
    })
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
